"""What a case asks of a driver; where the driver lacks it the case is skipped, and says so."""

from enum import Enum

from leveret.ports.broker import Capability


class Trait(Enum):
    """What may be so with a driver besides its capabilities. The value says what is so without it."""

    BROKER = "this driver is no broker"
    STORE = "this driver keeps no outcomes"
    CLOSES_JOINS = "a failed member cannot close a join in this store"
    SEVERABLE = "no session of this driver ends with a connection"
    EITHER_END = "on this broker 9 is always the most urgent"
    HOURS = "minutes or days pass in this case: it takes a simulated clock"


Need = Capability | Trait


def why_not(need: Need) -> str:
    """Why a case that has this need does not run."""
    return need.value if isinstance(need, Trait) else f"this driver does not declare {need.name}"
