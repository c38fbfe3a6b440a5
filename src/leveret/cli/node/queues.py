"""Which queues a worker consumes: `-Q` and `-X` against what the settings list."""

from collections.abc import Sequence
from difflib import get_close_matches

from leveret.config.settings import Settings
from leveret.errors import QueueNotFound
from leveret.model.topology import DIRECT_SUFFIX


def split_names(given: Sequence[str]) -> tuple[str, ...]:
    """`-Q a,b -Q c` as names in order, each once."""
    names = [name.strip() for part in given for name in part.split(",")]
    return tuple(dict.fromkeys(name for name in names if name))


def consumed_queues(
    settings: Settings, listed: tuple[str, ...], chosen: tuple[str, ...], excluded: tuple[str, ...]
) -> tuple[str, ...]:
    """`chosen`, else every queue that `task_queues` lists, else the default one; without the excluded."""
    known = listed or (settings.task_default_queue,)
    strangers = [name for name in chosen if name not in known]
    if strangers and not settings.task_create_missing_queues:
        near = get_close_matches(strangers[0], known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise QueueNotFound(
            f"-Q {strangers[0]}: task_queues does not list it and task_create_missing_queues is off{hint}"
        )
    queues = tuple(name for name in chosen or known if name not in excluded)
    if not queues:
        raise QueueNotFound(f"-X {','.join(excluded)} leaves no queue to consume")
    return queues


def own_queues(queues: tuple[str, ...], broadcasts: tuple[str, ...], node: str, *, direct: bool) -> tuple[str, ...]:
    """With the node's own queue of each broadcast, and (`worker_direct`) the one that is named after the node."""
    named = tuple(f"{queue}.{node}" if queue in broadcasts else queue for queue in queues)
    return (*named, f"{node}{DIRECT_SUFFIX}") if direct else named
