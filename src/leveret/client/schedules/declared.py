"""From what people write (`beat_schedule`, `add_periodic_task`, `@app.task(schedule=...)`) to entries that a scheduler
can fire without the app: their message is composed and encoded here."""

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple, Protocol, cast
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from leveret.client import options as calls
from leveret.client.canvas.composition import NO_JOINS, Composition
from leveret.client.client import Client
from leveret.client.limiting.uniqueness import marked
from leveret.client.schedules.timings import BaseSchedule, maybe_schedule
from leveret.client.signature import Signature
from leveret.client.specs import plain, to_spec
from leveret.errors import ImproperlyConfigured, NotYet
from leveret.logic.canvas.plan import BEGIN, ids_in
from leveret.logic.ids import derive
from leveret.logic.schedules.ticks import zone_of
from leveret.model.message import Message
from leveret.model.schedules.entry import CatchUp, Entry, Overlap
from leveret.model.signature import SignatureSpec
from leveret.model.task import TaskDefinition

KEYS = ("task", "schedule", "args", "kwargs", "options", "relative")
OURS = ("timezone", "start", "end", "overlap", "catch_up")
CELERYS = frozenset(("name", "app", "last_run_at", "total_run_count"))
"""What Celery's own ScheduleEntry also takes; the store keeps these."""
NOBODY = "-"
"""Stands for the reply address while a message is composed: nobody waits for a scheduled run."""
_SHOWN_CHARS = 200


class Call(NamedTuple):
    """One call, and how long after its fire it is worthless and due."""

    message: Message
    expires_after: float | None
    delay: float
    told: tuple[str, str] = ("", "")
    """For people, where the message itself does not tell: what is called, and with which arguments."""


class Tasks(Protocol):
    """The app's registry."""

    def find(self, name: str) -> TaskDefinition | None: ...
    def peek(self, name: str) -> Any: ...


class Declarations:
    """Makes entries under one look at the app and its settings."""

    def __init__(
        self, client: Client, tasks: Tasks, *, zone: str, naive_zone: tzinfo | None, deadline: float | None
    ) -> None:
        """`zone` is the app's; `deadline` is `beat_cron_starting_deadline`."""
        self._client, self._tasks = client, tasks
        self._zone, self._naive_zone, self._deadline = zone, naive_zone, deadline

    def entry(self, name: str, given: Mapping[str, Any], source: str = "") -> Entry:
        """Make the entry of one `beat_schedule` item; an error names the entry and what is wrong with it."""
        with naming(name):
            return self._entry(name, given, source)

    def _entry(self, name: str, given: Mapping[str, Any], source: str) -> Entry:
        refuse_unknown(given)
        if not name or not isinstance(name, str):
            raise ImproperlyConfigured("an entry needs a name")
        when = maybe_schedule(given.get("schedule"), bool(given.get("relative")))
        terms = self._terms(given, when)
        return Entry(
            name=name,
            timing=when.timing(self._naive_zone),
            source=source,
            **terms,
            **self._facts(name, self._call(given)),
        )

    def _facts(self, name: str, call: "Call") -> dict[str, Any]:
        """What an entry says of its call. The message has an id and a family of its own with each run only: the same
        declaration makes the same bytes, so that a store sees whether it has changed."""
        message = msgspec.structs.replace(
            call.message, id=derive(name, "schedule"), root_id=None, parent_id=None, reply_to=None, derived=True
        )
        task, arguments = call.told
        return {
            "task": task or message.task,
            "postings": self._client.postings((message,)),
            "arguments": arguments or shown(message.args, message.kwargs),
            "expires_after": call.expires_after,
            "delay": call.delay,
        }

    def changed(self, entry: Entry, given: Mapping[str, Any]) -> Entry:
        """A changed entry: what `given` says, and of the rest what the entry has."""
        with naming(entry.name):
            refuse_unknown(given)
            return self._changed(entry, given)

    def _changed(self, entry: Entry, given: Mapping[str, Any]) -> Entry:
        changed: dict[str, Any] = {}
        when = maybe_schedule(given["schedule"], bool(given.get("relative"))) if "schedule" in given else None
        if when is not None:
            changed["timing"] = when.timing(self._naive_zone)
            if when.timezone:
                changed["zone"] = check_zone(when.timezone)
        found = self._terms({**given, "timezone": given.get("timezone") or changed.get("zone") or entry.zone}, when)
        for key, field in (("timezone", "zone"), *((name, name) for name in OURS[1:])):
            if key in given:
                changed[field] = found[field]
        if given.keys() & {"task", "args", "kwargs", "options"}:
            changed.update(self._changed_call(given, entry))
        return msgspec.structs.replace(entry, **changed)

    def _changed_call(self, given: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
        old = self._client.codec.decode(entry.postings[0].encoded, entry.postings[0].queue)
        if (old.embed or old.task == BEGIN) and "task" not in given:
            raise ImproperlyConfigured("something follows its task: give the whole call anew, as task=signature")
        whole = {"task": old.task, "args": old.args, "kwargs": old.kwargs, "options": self._options_of(entry, old)}
        return self._facts(entry.name, self._call({**whole, **given}))

    @staticmethod
    def _options_of(entry: Entry, old: Message) -> dict[str, Any]:
        """What was said about the call, as far as its message shows it."""
        said = {
            "queue": entry.postings[0].queue,
            "priority": old.priority,
            "expires": entry.expires_after,
            "countdown": entry.delay or None,
            "time_limit": old.time_limit,
            "soft_time_limit": old.soft_time_limit,
            "ignore_result": old.ignore_result,
            "headers": old.headers or None,
        }
        return {name: value for name, value in said.items() if value is not None}

    # The call.

    def _call(self, given: Mapping[str, Any]) -> "Call":
        task = given.get("task")
        if isinstance(task, Signature):
            return self._of_signature(task, given)
        name = task if isinstance(task, str) else getattr(task, "name", None)
        if not isinstance(name, str) or not name:
            raise ImproperlyConfigured(f"task={task!r} is none: the name of a task is expected")
        return self._composed(name, given.get("args"), given.get("kwargs"), dict(given.get("options") or {}))

    def _of_signature(self, signature: Signature[Any], given: Mapping[str, Any]) -> "Call":
        whole = signature.clone(given.get("args") or (), given.get("kwargs") or {}, **dict(given.get("options") or {}))
        if not whole.subtask_type:
            return self._composed(whole.task, whole.args, whole.kwargs, whole.options)
        steps = chained(whole)
        if not steps:
            return self._of_composition(cast(Composition[Any], whole))
        first, *rest = steps
        call = self._composed(first.task, first.args, first.kwargs, {**first.options, **whole.options})
        # Each run's steps have ids of their own, computed from the run's.
        behind = tuple(without_id(to_spec(step)) for step in reversed(rest))
        embed = msgspec.structs.replace(call.message.embed, chain=behind)
        return call._replace(message=msgspec.structs.replace(call.message, embed=embed))

    def _of_composition(self, whole: Composition[Any]) -> "Call":
        """One message, as for a task: a worker puts the composition in its place, under the run's id. So the ids of all
        its parts are computed from the run's, and its result is the run's."""
        refuse_moment(whole.options)
        if any(ids_in(to_spec(whole))):
            raise ImproperlyConfigured("a part of it has an id already: every run has its own")
        if not self._client.options.joins:
            raise ImproperlyConfigured(NO_JOINS.format(where=self._client.options.address or "this broker"))
        timed = {name: whole.options.pop(name) for name in ("expires", "countdown") if name in whole.options}
        messages = whole.plan(self._client, (), {}, {}).messages
        if not messages:
            raise ImproperlyConfigured(f"an empty {whole.kind} cannot be scheduled")
        # Where its first task goes somebody knows the app.
        first = messages[0]
        place = {"queue": first.queue} if not first.exchange else {"exchange": first.exchange}
        place |= {"routing_key": first.routing_key} if first.exchange else {}
        call = self._composed(BEGIN, (), {"call": plain(whole)}, {**place, "priority": first.priority, **timed})
        return call._replace(told=(whole.task, shortened(repr(whole))))

    def _composed(self, name: str, args: Any, kwargs: Any, options: dict[str, Any]) -> "Call":
        refuse_moment(options)
        calls.check(options)
        positional, named = calls.positional(args), dict(calls.named(kwargs))
        refuse_lazy(positional, named)
        task, definition = self._tasks.peek(name), self._tasks.find(name)
        if task is not None:
            task.check(positional, named)
        expires, countdown = options.pop("expires", None), options.pop("countdown", None)
        if expires is None and definition is not None:
            expires = definition.expires
        message = self._client.compose(name, positional, named, {"reply_to": NOBODY, **options}, definition)
        # A run of the schedule asks nobody before it is sent: it ends without a run where another has its key.
        message = marked(message, definition).message
        fixed = calls.deadline(expires, _never, self._naive_zone) if isinstance(expires, datetime) else None
        after = None if expires is None or fixed is not None else calls.seconds(_duration("expires", expires))
        return Call(msgspec.structs.replace(message, expires=fixed), after, calls.seconds(countdown or 0.0))

    # The terms.

    def _terms(self, given: Mapping[str, Any], when: BaseSchedule | None) -> dict[str, Any]:
        zone = given.get("timezone") or (when.timezone if when is not None else None) or self._zone
        start, end = (self._moment(name, given.get(name)) for name in ("start", "end"))
        if start is not None and end is not None and end < start:
            raise ImproperlyConfigured(f"end={given['end']!r} is before start={given['start']!r}")
        overlap = given.get("overlap") or "allow"
        if overlap not in ("allow", "skip"):
            raise ImproperlyConfigured(f"overlap={overlap!r} is none: allow or skip")
        return {
            "zone": check_zone(zone),
            "start": start,
            "end": end,
            "overlap": cast(Overlap, overlap),
            "catch_up": self._catch_up(given.get("catch_up")),
        }

    def _catch_up(self, value: Any) -> CatchUp:
        policy = read_catch_up(value)
        return policy if self._deadline is None else msgspec.structs.replace(policy, within=self._deadline)

    def _moment(self, name: str, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if not isinstance(value, datetime):
            raise ImproperlyConfigured(f"{name}={value!r} is no datetime")
        return calls.moment(value, self._naive_zone, name)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say in an error which entry it is about."""
    try:
        yield
    except NotYet:
        raise
    except (ImproperlyConfigured, TypeError, ValueError) as error:
        raise ImproperlyConfigured(f"schedule entry {name!r}: {error}") from error


def _never() -> float:
    raise AssertionError("a fixed deadline needs no clock")


def _duration(name: str, value: Any) -> Any:
    if isinstance(value, int | float | timedelta):
        return value
    raise ImproperlyConfigured(f"{name}={value!r} is neither seconds, nor a timedelta, nor a datetime")


def chained(signature: Signature[Any]) -> list[Signature[Any]]:
    """The single tasks of a chain in order, those of chains in it laid flat; none where others are among them."""
    if signature.subtask_type is None:
        return [signature]
    if signature.subtask_type != "chain":
        return []
    parts = [chained(Signature.from_dict(part)) for part in signature.kwargs["tasks"]]
    return [step for part in parts for step in part] if all(parts) else []


def without_id(spec: SignatureSpec) -> SignatureSpec:
    """A step without what belongs to one sending of it."""
    options = {name: value for name, value in spec.options.items() if name not in ("task_id", "reply_to")}
    return msgspec.structs.replace(spec, options=options)


def refuse_unknown(given: Mapping[str, Any]) -> None:
    """Refuse a key that no entry has, and name the nearest."""
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"{given!r} is no dict with a task and a schedule")
    for key in given:
        if key not in (*KEYS, *OURS, *CELERYS):
            near = difflib.get_close_matches(str(key), (*KEYS, *OURS), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f" (known: {', '.join((*KEYS, *OURS))})"
            raise ImproperlyConfigured(f"{key!r} is nothing an entry has{hint}")


def refuse_moment(options: Mapping[str, Any]) -> None:
    """Refuse what would be the same for each run."""
    for refused in ("task_id", "eta"):
        if options.get(refused) is not None:
            raise ImproperlyConfigured(f"options name {refused}: every run has its own")


def refuse_lazy(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Arguments are stored: one that is computed at each run (Celery's BeatLazyFunc) cannot be."""
    for value in (*args, *kwargs.values()):
        if type(value).__name__ == "BeatLazyFunc":
            raise NotYet(f"{value!r} is computed at each run: have the task compute it")


def check_zone(name: str) -> str:
    """Refuse a zone that the machine does not know."""
    try:
        return zone_of(str(name)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ImproperlyConfigured(f"timezone={name!r} is no zone: a name such as Asia/Seoul is expected") from error


def read_catch_up(value: Any) -> CatchUp:
    """Read a policy: `skip`, `one`, `all`, `all(25)`, or 25 for the latter."""
    if isinstance(value, CatchUp):
        return value
    if value is None:
        return CatchUp()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return CatchUp(policy="all", most=value)
    if value in ("skip", "one", "all"):
        return CatchUp(policy=value)
    text = str(value).replace(" ", "")
    inside = text[4:-1].removeprefix("max")
    if text.startswith("all(") and text.endswith(")") and inside.isdigit() and int(inside) > 0:
        return CatchUp(policy="all", most=int(inside))
    raise ImproperlyConfigured(f"catch_up={value!r} is none: skip, one, all or all(25)")


def shown(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Arguments as a person reads them."""
    return shortened(", ".join([*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]))


def shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 3]}..."
