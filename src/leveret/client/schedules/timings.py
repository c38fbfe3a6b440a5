"""`schedule`, `crontab`, `solar` and `clocked`: when an entry is due, under Celery's names (`celery/schedules.py`)."""

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any

from leveret.client.options import Seconds, moment, seconds
from leveret.errors import ImproperlyConfigured
from leveret.logic.schedules import sun
from leveret.logic.schedules.fields import (
    DAY_OF_MONTH,
    DAY_OF_WEEK,
    HOUR,
    MINUTE,
    MONTH,
    Field,
    ParseException,
    refuse_impossible,
    split,
)
from leveret.logic.schedules.ticks import zone_of
from leveret.model.schedules.timing import Clocked, Cron, Every, Solar, Timing

__all__ = ["BaseSchedule", "ParseException", "clocked", "crontab", "maybe_schedule", "schedule", "solar"]

LEAST_SECONDS = 0.01
_UNITS = (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0), ("second", 1.0))


class BaseSchedule:
    """What the four kinds share: a zone of their own, if they have one."""

    timezone: str | None = None

    def timing(self, naive_zone: tzinfo | None = None) -> Timing:
        """The plain value that a store keeps."""
        raise ImproperlyConfigured(
            f"{type(self).__name__} decides by its own code when it is due, which no store can keep: "
            "use schedule, crontab, solar or clocked"
        )


class schedule(BaseSchedule):  # noqa: N801 - Celery's name
    """Every so many seconds.

    >>> schedule(30.0), schedule(timedelta(hours=2))
    (<freq: 30.00 seconds>, <freq: 2.00 hours>)
    """

    def __init__(
        self,
        run_every: Seconds | None = None,
        relative: bool = False,
        nowfun: Callable[[], datetime] | None = None,
        app: Any = None,
    ) -> None:
        if run_every is None:
            raise ImproperlyConfigured("schedule() needs an interval: schedule(30.0) or schedule(timedelta(minutes=5))")
        every = seconds(run_every)
        if not LEAST_SECONDS <= every < float("inf"):
            raise ImproperlyConfigured(f"schedule({run_every!r}): an interval is {LEAST_SECONDS} seconds or longer")
        self.run_every = timedelta(seconds=every)
        self.relative = relative
        self.nowfun = nowfun
        self.timezone = _zone_of(nowfun)

    @property
    def seconds(self) -> float:
        return self.run_every.total_seconds()

    def timing(self, naive_zone: tzinfo | None = None) -> Timing:
        return Every(seconds=self.seconds, relative=self.relative)

    def __repr__(self) -> str:
        for unit, size in _UNITS:
            if self.seconds >= size:
                count = self.seconds / size
                return f"<freq: {count:.2f} {unit}{'' if count == 1 else 's'}>"
        return f"<freq: {self.seconds:g} seconds>"

    def __eq__(self, other: object) -> bool:
        return self.run_every == (other.run_every if isinstance(other, schedule) else other)

    def __hash__(self) -> int:
        return hash(self.run_every)


class crontab(BaseSchedule):  # noqa: N801 - Celery's name
    """The minutes whose wall-clock time all five fields name; days count from Sunday, 0.

    >>> crontab(minute=30, hour=7), crontab.from_string("*/5 9-17 * * mon-fri")
    (<crontab: 30 7 * * * (m/h/dM/MY/d)>, <crontab: */5 9-17 * * mon-fri (m/h/dM/MY/d)>)
    """

    def __init__(
        self,
        minute: Field = "*",
        hour: Field = "*",
        day_of_week: Field = "*",
        day_of_month: Field = "*",
        month_of_year: Field = "*",
        *,
        timezone: str | None = None,
        nowfun: Callable[[], datetime] | None = None,
        app: Any = None,
    ) -> None:
        """`timezone` is ours: the zone of this one, by name. Celery's signature."""
        self._written = (minute, hour, day_of_month, month_of_year, day_of_week)
        self.minute, self.hour = frozenset(MINUTE.read(minute)), frozenset(HOUR.read(hour))
        self.day_of_week = frozenset(DAY_OF_WEEK.read(day_of_week))
        self.day_of_month = frozenset(DAY_OF_MONTH.read(day_of_month))
        self.month_of_year = frozenset(MONTH.read(month_of_year))
        for name, found in (("minute", self.minute), ("hour", self.hour), ("day_of_week", self.day_of_week)):
            if not found:
                raise ParseException(f"{name}={getattr(self, name)!r} is empty: it would never be due")
        refuse_impossible(
            tuple(sorted(self.day_of_month)), tuple(sorted(self.month_of_year)), (day_of_month, month_of_year)
        )
        self.nowfun = nowfun
        self.timezone = timezone or _zone_of(nowfun)

    @classmethod
    def from_string(cls, crontab: str, **options: Any) -> "crontab":
        """Read a crontab line (`30 7 * * mon-fri`) or one of its names (`@daily`)."""
        minute, hour, day_of_month, month_of_year, day_of_week = split(crontab)
        return cls(minute, hour, day_of_week, day_of_month, month_of_year, **options)

    def timing(self, naive_zone: tzinfo | None = None) -> Timing:
        return Cron(
            minutes=tuple(sorted(self.minute)),
            hours=tuple(sorted(self.hour)),
            days_of_week=tuple(sorted(self.day_of_week)),
            days_of_month=tuple(sorted(self.day_of_month)),
            months=tuple(sorted(self.month_of_year)),
            text=" ".join(map(_field_text, self._written)),
        )

    def __repr__(self) -> str:
        return f"<crontab: {' '.join(map(str, self._written))} (m/h/dM/MY/d)>"

    def __eq__(self, other: object) -> bool:
        return self._sets() == other._sets() if isinstance(other, crontab) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._sets())

    def _sets(self) -> tuple[frozenset[int], ...]:
        return self.minute, self.hour, self.day_of_month, self.month_of_year, self.day_of_week


class solar(BaseSchedule):  # noqa: N801 - Celery's name
    """When the sun does something at a place: `solar("sunset", 37.57, 126.98)`. It needs `leveret[solar]`."""

    def __init__(
        self,
        event: str,
        lat: float,
        lon: float,
        *,
        nowfun: Callable[[], datetime] | None = None,
        app: Any = None,
    ) -> None:
        self.event, self.lat, self.lon = event, lat, lon
        sun.check(Solar(event=event, lat=lat, lon=lon))

    def timing(self, naive_zone: tzinfo | None = None) -> Timing:
        return Solar(event=self.event, lat=float(self.lat), lon=float(self.lon))

    def __repr__(self) -> str:
        return f"<solar: {self.event} at latitude {self.lat}, longitude: {self.lon}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, solar):
            return NotImplemented
        return (self.event, self.lat, self.lon) == (other.event, other.lat, other.lon)

    def __hash__(self) -> int:
        return hash((self.event, self.lat, self.lon))


class clocked(BaseSchedule):  # noqa: N801 - django-celery-beat's name
    """Once, at a point in time."""

    def __init__(self, clocked_time: datetime, nowfun: Callable[[], datetime] | None = None, app: Any = None) -> None:
        if not isinstance(clocked_time, datetime):
            raise ImproperlyConfigured(f"clocked({clocked_time!r}): a datetime is expected")
        self.clocked_time = clocked_time

    def timing(self, naive_zone: tzinfo | None = None) -> Timing:
        return Clocked(at=moment(self.clocked_time, naive_zone, "clocked_time"))

    def __repr__(self) -> str:
        return f"<clocked: {self.clocked_time}>"

    def __eq__(self, other: object) -> bool:
        return self.clocked_time == other.clocked_time if isinstance(other, clocked) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.clocked_time)


def maybe_schedule(value: Any, relative: bool = False, app: Any = None) -> BaseSchedule:
    """Read what people write for a schedule: seconds, a timedelta, a crontab line, or one of the classes here."""
    if isinstance(value, BaseSchedule):
        return value
    if isinstance(value, str):
        return crontab.from_string(value)
    if isinstance(value, timedelta | int | float) and not isinstance(value, bool):
        return schedule(value, relative)
    raise ImproperlyConfigured(
        f"schedule={value!r} is none: seconds, a timedelta, a crontab line, schedule, crontab, solar or clocked "
        f"is expected{_hint(value)}"
    )


def _hint(value: Any) -> str:
    module = type(value).__module__
    return f" (import it from leveret, not from {module})" if module.startswith("celery.") else ""


def _field_text(field: Any) -> str:
    if isinstance(field, str | int):
        return str(field).replace(" ", "")
    return ",".join(map(str, sorted(field)))


def _zone_of(nowfun: Callable[[], datetime] | None) -> str | None:
    """The zone of a clock that Celery's users give a schedule: it decides where the crontab is read."""
    if nowfun is None:
        return None
    zone = nowfun().tzinfo
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    return None if name is None else zone_of(str(name)).key
