"""When an entry of the schedule is due: plain values that cross a pipe, stand in a store, and mean the same to all."""

from msgspec import Struct

MIDNIGHT_SECONDS = 86_400.0


class Every(Struct, frozen=True, kw_only=True, tag="every"):
    """Each so many seconds, counted from the moment before."""

    seconds: float
    relative: bool = False
    """Cut each moment to the day, hour or minute the interval is measured in, as Celery's `relative=True` does."""


class Cron(Struct, frozen=True, kw_only=True, tag="cron"):
    """The wall-clock minutes whose five fields are all in these sets; each is sorted and has no value twice.

    Days of the week count from Sunday, 0. A day must be in both sets of days, as in Celery (and unlike cron).
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days_of_week: tuple[int, ...]
    days_of_month: tuple[int, ...]
    months: tuple[int, ...]
    text: str = ""
    """As it was written, in cron's order of fields."""


class Solar(Struct, frozen=True, kw_only=True, tag="solar"):
    """What the sun does at a place."""

    event: str
    lat: float
    lon: float


class Clocked(Struct, frozen=True, kw_only=True, tag="clocked"):
    """Once, at a unix time."""

    at: float


Timing = Every | Cron | Solar | Clocked
