"""Which lane of its queue a call waits in: calls with the same key (`fair_by`) share one, and lanes take turns."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from leveret.errors import ImproperlyConfigured
from leveret.model.message import LONGEST_LANE
from leveret.model.task import TaskDefinition

_SHOWN = 80
"""Characters that are left of a key that can be no lane's name."""


def lane_name(key: Any) -> str:
    """The lane of a key. None, and an empty text, have none."""
    text = "" if key is None else key if isinstance(key, str) else str(key)
    if len(text) <= LONGEST_LANE and text.isprintable():
        return text
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    return f"{''.join(filter(str.isprintable, text))[:_SHOWN]}~{digest}"


def lane_of_call(
    definition: TaskDefinition | None, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> str:
    """The lane of one call, "" when it has none. Raises `ImproperlyConfigured` when the task's function fails."""
    if options and options.get("fair_key") is not None:
        return lane_name(options["fair_key"])
    if definition is None or definition.fair_by is None:
        return ""
    try:
        return lane_name(definition.fair_by(*args, **kwargs))
    except Exception as error:  # user code: whatever it raises is said with its place
        raise ImproperlyConfigured(
            f"{definition.name}: fair_by raised {type(error).__name__}: {error}; it is called with the arguments of "
            "the call, those it does not name left out, and answers whose turn the call is: a text, a number, or None"
        ) from error


def no_lanes(task: str, address: str) -> str:
    """What is said of a fair task on a broker whose queues have no lanes."""
    return (
        f"{task} has a fair_by (or the call a fair_key), and {address} cannot let keys take turns: use Redis or "
        "SQLite as the broker, give tenants queues of their own, or leave fair_by out"
    )


def lane_that_follows(
    definition: TaskDefinition | None, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any]
) -> str:
    """As `lane_of_call`, of what follows a task. A function that fails must not stop what was promised: then none."""
    try:
        return lane_of_call(definition, args, kwargs, options)
    except ImproperlyConfigured:
        return ""
