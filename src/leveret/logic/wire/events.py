"""Events as they are written: Celery's fields, in batches (celery.md 2.6)."""

from collections.abc import Iterable, Sequence

import msgspec

from leveret.logic.wire.protocol import to_iso
from leveret.logic.wire.reprs import safe_repr, short_repr
from leveret.model.message import Message
from leveret.model.outcome import Cancelled, ErrorInfo, Failed, Finished, Rejected, Retried, Succeeded
from leveret.model.telling.event import (
    MULTI,
    Event,
    Parcel,
    TaskEvent,
    TaskFailed,
    TaskReceived,
    TaskRejected,
    TaskRetried,
    TaskRevoked,
    TaskSent,
    TaskStarted,
    TaskSucceeded,
)

MOST_IN_ONE = 150
"""Task events in one message."""

_ENCODE = msgspec.json.Encoder().encode


class Ticker:
    """Celery orders events by a logical clock that its workers set by what they hear. Ours is the time in milliseconds,
    and never stands still: so a worker that hears nothing tells the same order as its neighbours."""

    def __init__(self) -> None:
        self.last = 0

    def tick(self, now: float) -> int:
        """The next one; the number behind it is not given to anybody else."""
        last, moment = self.last + 2, int(now * 1000)
        self.last = moment = moment if moment > last else last
        return moment


class EventWriter:
    """Makes the events of one process. `utcoffset` is in hours west of UTC.

    `received` and `run` are called for every task: each costs a microsecond or less.
    """

    def __init__(self, hostname: str, pid: int, utcoffset: int) -> None:
        self.hostname, self.pid, self.utcoffset = hostname, pid, utcoffset
        self.ticker = Ticker()
        self.tick = self.ticker.tick

    def sent(self, message: Message, now: float) -> TaskSent:
        return TaskSent(
            self.hostname, self.utcoffset, self.pid, self.tick(now), now, message.id,
            message.root_id or message.id, message.parent_id, message.shadow or message.task,
            _args(message), _kwargs(message), message.attempt,
            _iso(message.not_before), _iso(message.expires),
            message.queue, message.exchange, message.routing_key or message.queue,
        )  # fmt: skip

    def received(self, messages: Iterable[Message], now: float) -> list[TaskEvent]:
        hostname, west, pid, clock = self.hostname, self.utcoffset, self.pid, self.tick(now)
        events: list[TaskEvent] = []
        for message in messages:
            uuid, not_before, expires = message.id, message.not_before, message.expires
            events.append(TaskReceived(
                hostname, west, pid, clock, now, uuid,
                message.shadow or message.task, _args(message), _kwargs(message),
                message.root_id or uuid, message.parent_id, message.attempt,
                None if not_before is None else _iso(not_before), None if expires is None else _iso(expires),
            ))  # fmt: skip
            clock += 2
        self.ticker.last = clock
        return events

    def started(self, message: Message, at: float) -> TaskStarted:
        return TaskStarted(self.hostname, self.utcoffset, self.pid, self.tick(at), at, message.id)

    def run(self, message: Message, finished: Finished, begun: bool, out: list[TaskEvent]) -> None:
        """Add what one run tells: that it started, unless that is told (`begun`), and how it ended. Nothing for what
        Celery has no word for: a snooze, a replacement, a task that asked to be ignored."""
        hostname, west, pid, uuid, started = self.hostname, self.utcoffset, self.pid, message.id, finished.started
        runtime, outcome = finished.runtime, finished.outcome
        # `tick`, without the call.
        clock, last = int(started * 1000), self.ticker.last + 2
        self.ticker.last = clock = clock if clock > last else last
        if not begun:
            out.append(TaskStarted(hostname, west, pid, clock, started, uuid))
        if type(outcome) is Succeeded:
            value = safe_repr(outcome.value)
            out.append(TaskSucceeded(hostname, west, pid, clock + 1, started + runtime, uuid, value, runtime))
            return
        head = (hostname, west, pid, clock + 1, started + runtime, uuid)
        match outcome:
            case Failed(error):
                out.append(TaskFailed(*head, shown(error), error.traceback))
            case Retried(error=error):
                out.append(TaskRetried(*head, shown(error) if error else "", error.traceback if error else ""))
            case Rejected(_, requeue):
                out.append(TaskRejected(*head, requeue))
            case Cancelled(_, signum):
                out.append(TaskRevoked(*head, signum is not None, signum, False))
            case _:
                pass

    def revoked(self, message: Message, now: float, *, terminated: bool = False, expired: bool = False) -> TaskRevoked:
        return TaskRevoked(
            self.hostname, self.utcoffset, self.pid, self.tick(now), now, message.id, terminated, None, expired
        )

    def lost(self, message: Message, reason: str, now: float) -> TaskFailed:
        """Without a run: a message that killed its processes."""
        head = (self.hostname, self.utcoffset, self.pid, self.tick(now), now, message.id)
        return TaskFailed(*head, f"WorkerLostError({reason!r})", "")

    def rejected(self, id: str, now: float) -> TaskRejected:
        return TaskRejected(self.hostname, self.utcoffset, self.pid, self.tick(now), now, id, False)


def shown(error: ErrorInfo) -> str:
    """The exception as `repr` shows it."""
    if error.args or not error.text or error.text == f"{error.type}()":
        return f"{error.type}({', '.join(map(safe_repr, error.args))})"
    return f"{error.type}({error.text!r})"


def together(events: Sequence[TaskEvent], hostname: str) -> tuple[Parcel, ...]:
    """Task events in as few messages as may be."""
    return tuple(
        Parcel(MULTI, _ENCODE(events[start : start + MOST_IN_ONE]), hostname)
        for start in range(0, len(events), MOST_IN_ONE)
    )


def alone(events: Iterable[Event], hostname: str) -> tuple[Parcel, ...]:
    """One message for each, under its type's own key."""
    return tuple(Parcel(key_of(event), _ENCODE(event), hostname) for event in events)


def key_of(event: Event) -> str:
    return str(type(event).__struct_config__.tag).replace("-", ".")


def _args(message: Message) -> str:
    given = message.argsrepr
    return short_repr(message.args) if given is None else given


def _kwargs(message: Message) -> str:
    given, kwargs = message.kwargsrepr, message.kwargs
    return given if given is not None else short_repr(kwargs) if kwargs else "{}"


def _iso(moment: float | None) -> str | None:
    return None if moment is None else to_iso(moment, "eta")
