"""The life of one delivery in a worker, and of the worker around it, as tables. A move that is not here is a bug."""

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from leveret.errors import LeveretError


class IllegalMove(LeveretError):
    """A state machine was told something that cannot happen in its state."""


class DeliveryState(Enum):
    CLAIMED = "claimed"
    """Handed over, not admitted yet."""
    QUEUED = "queued"
    """Admitted, behind a running job; can be taken back."""
    ACKED = "acked"
    """At most once: acknowledged, the run begins next and nothing gives it back."""
    RUNNING = "running"
    ENDED = "ended"
    """Has an outcome nobody has settled yet."""
    SETTLED = "settled"
    RETURNED = "returned"
    LOST = "lost"
    """The session was reaped: it belongs to somebody else."""


class DeliveryEvent(Enum):
    ADMIT = "admit"
    SKIP = "skip"
    """Concluded without a run (stored outcome, expired, charged too often ...)."""
    ACK_EARLY = "ack early"
    BEGIN = "begin"
    HOLD = "hold"
    """The runner found the page's `hold` flag set."""
    END = "end"
    TIME_OUT = "time out"
    """The hard limit: the I/O thread concludes it while it still runs."""
    SETTLE = "settle"
    RETURN = "return"
    REAP = "reap"


_D, _E = DeliveryState, DeliveryEvent

DELIVERY: Mapping[DeliveryState, Mapping[DeliveryEvent, DeliveryState]] = {
    _D.CLAIMED: {
        _E.ADMIT: _D.QUEUED,
        _E.SKIP: _D.ENDED,
        _E.RETURN: _D.RETURNED,
        _E.REAP: _D.LOST,
    },
    _D.QUEUED: {
        _E.ACK_EARLY: _D.ACKED,
        _E.BEGIN: _D.RUNNING,
        _E.HOLD: _D.RETURNED,
        _E.RETURN: _D.RETURNED,
        _E.REAP: _D.LOST,
    },
    _D.ACKED: {_E.BEGIN: _D.RUNNING},
    # A running job whose session was reaped runs on; the fence answers its settlement with Stale.
    _D.RUNNING: {_E.END: _D.ENDED, _E.TIME_OUT: _D.ENDED, _E.RETURN: _D.RETURNED, _E.REAP: _D.RUNNING},
    # After a hard limit the late outcome of the run is dropped.
    _D.ENDED: {_E.SETTLE: _D.SETTLED, _E.END: _D.ENDED, _E.REAP: _D.LOST},
    _D.SETTLED: {_E.END: _D.SETTLED},
    _D.RETURNED: {_E.END: _D.RETURNED},
    _D.LOST: {_E.SETTLE: _D.LOST, _E.END: _D.LOST},
}


class WorkerState(Enum):
    NEW = "new"
    CLAIMING = "claiming"
    QUIET = "quiet"
    """Claims nothing, gave back what had not begun, waits for what runs."""
    DRAINED = "drained"


class WorkerEvent(Enum):
    REGISTER = "register"
    QUIET = "quiet"
    EMPTY = "empty"
    """Nothing runs and everything is settled."""
    ABANDON = "abandon"


WORKER: Mapping[WorkerState, Mapping[WorkerEvent, WorkerState]] = {
    WorkerState.NEW: {WorkerEvent.REGISTER: WorkerState.CLAIMING, WorkerEvent.QUIET: WorkerState.QUIET},
    WorkerState.CLAIMING: {WorkerEvent.QUIET: WorkerState.QUIET},
    WorkerState.QUIET: {
        WorkerEvent.REGISTER: WorkerState.QUIET,
        WorkerEvent.QUIET: WorkerState.QUIET,
        WorkerEvent.EMPTY: WorkerState.DRAINED,
        WorkerEvent.ABANDON: WorkerState.DRAINED,
    },
    WorkerState.DRAINED: {WorkerEvent.QUIET: WorkerState.DRAINED},
}

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)


def move(table: Mapping[S, Mapping[E, S]], state: S, event: E) -> S:
    """The next state; raises `IllegalMove` for what the table does not allow.

    >>> move(WORKER, WorkerState.CLAIMING, WorkerEvent.QUIET).value
    'quiet'
    """
    try:
        return table[state][event]
    except KeyError:
        raise IllegalMove(f"{event.value!r} cannot happen to something {state.value!r}") from None
