"""When a worker process that ended is started again."""

from dataclasses import dataclass
from typing import assert_never

from msgspec import Struct


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """Durations are seconds. Deaths before a child is ready are the app's fault and end in giving up; deaths after it
    was ready are a task's fault and never do: their back-off stays below a second, because work waits."""

    first_delay: float = 0.1
    ceiling: float = 5.0
    ready_ceiling: float = 0.5
    free_deaths: int = 3
    """So many quick deaths in a row cost nothing: a killer dies three times, and its neighbours wait behind it."""
    steady_seconds: float = 5.0
    """A child that was ready for so long starts a new streak."""
    give_up_after: int = 10


class Streak(Struct, frozen=True):
    """Deaths in a row. `unready` is the node's, since any child was last ready; `quick` is one place's."""

    unready: int = 0
    quick: int = 0


class Drained(Struct, frozen=True):
    """The child ended in order (max tasks, hard limit, reload)."""


class Unready(Struct, frozen=True):
    """It died before it was ready."""


class Died(Struct, frozen=True):
    """It died after having been ready for `ready_seconds`."""

    ready_seconds: float


Ending = Drained | Unready | Died


class Restart(Struct, frozen=True):
    """Start the next one after `delay` seconds."""

    delay: float


class GiveUp(Struct, frozen=True):
    """Too many deaths in a row before anything was ready."""

    deaths: int


def restart(policy: RestartPolicy, streak: Streak, ending: Ending) -> tuple[Streak, Restart | GiveUp]:
    """Decide what follows one ending; the first restart of a streak is immediate."""
    match ending:
        case Drained():
            return Streak(), Restart(0.0)
        case Unready():
            deaths = streak.unready + 1
            if deaths >= policy.give_up_after:
                return Streak(unready=deaths), GiveUp(deaths)
            return Streak(unready=deaths), Restart(_delay(policy, deaths - 1, policy.ceiling))
        case Died(ready_seconds):
            quick = streak.quick + 1 if ready_seconds < policy.steady_seconds else 1
            return Streak(quick=quick), Restart(_delay(policy, quick - policy.free_deaths, policy.ready_ceiling))
        case _:
            assert_never(ending)


def _delay(policy: RestartPolicy, deaths: int, ceiling: float) -> float:
    return 0.0 if deaths <= 0 else min(ceiling, policy.first_delay * 2.0 ** min(deaths - 1, 30))
