"""When an entry is due, as a person would say it: "at 09:00 on weekdays"."""

from typing import assert_never

from leveret.logic.schedules.sun import EVENTS
from leveret.logic.schedules.ticks import local
from leveret.model.schedules.entry import Entry
from leveret.model.schedules.timing import Clocked, Cron, Every, Solar

_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    "", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_MOST_TIMES = 4
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def words(entry: Entry) -> str:
    """When, and on whose clock where that matters."""
    match entry.timing:
        case Every(seconds=seconds, relative=relative):
            return f"every {duration(seconds)}{', on the full unit' if relative and seconds >= 60 else ''}"
        case Cron() as cron:
            return f"{cron_words(cron)}, {entry.zone}"
        case Solar() as solar:
            return f"{EVENTS[solar.event].words} at {solar.lat:g}, {solar.lon:g}"
        case Clocked(at=at):
            return f"once, at {local(at, entry.zone):%Y-%m-%d %H:%M:%S}, {entry.zone}"
        case other:
            assert_never(other)


def duration(seconds: float) -> str:
    """Seconds in the largest unit that divides them: `2 hours`, `90 seconds`."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return unit if count == 1 else f"{count} {unit}s"
    return f"{seconds:g} seconds"


def cron_words(cron: Cron) -> str:
    """The five fields in words; as they were written where words would be longer than they are clear."""
    time = _time(cron)
    day = _day(cron)
    if time is None or day is None:
        return f"at {cron.text}"
    return f"{time}{day}{_month(cron)}"


def _time(cron: Cron) -> str | None:
    minutes, hours = cron.minutes, cron.hours
    step = _step(minutes, 60)
    if len(hours) == 24:
        if len(minutes) == 60:
            return "every minute"
        if step is not None:
            return f"every {step} minutes"
        if len(minutes) == 1:
            return "every hour" if minutes == (0,) else f"every hour at minute {minutes[0]}"
        return f"every hour at minutes {_listed(list(map(str, minutes)))}" if len(minutes) <= _MOST_TIMES else None
    if len(minutes) * len(hours) <= _MOST_TIMES:
        return f"at {_listed([f'{hour:02d}:{minute:02d}' for hour in hours for minute in minutes])}"
    if len(minutes) == 1 and (every := _step(hours, 24)) is not None:
        return f"every {every} hours" + ("" if minutes == (0,) else f" at minute {minutes[0]}")
    if hours != tuple(range(hours[0], hours[-1] + 1)):
        return None
    span = f"from {hours[0]:02d}:{minutes[0]:02d} to {hours[-1]:02d}:{minutes[-1]:02d}"
    if len(minutes) == 1:
        return f"every hour {span}"
    if len(minutes) == 60:
        return f"every minute {span}"
    return None if step is None else f"every {step} minutes {span}"


def _step(numbers: tuple[int, ...], size: int) -> int | None:
    """N when they are every Nth from 0 on, evenly over the whole."""
    if len(numbers) < 2 or numbers[0] != 0:
        return None
    step = numbers[1]
    return step if size % step == 0 and numbers == tuple(range(0, size, step)) else None


def _day(cron: Cron) -> str | None:
    month_days, weekdays = cron.days_of_month, cron.days_of_week
    parts = []
    if len(weekdays) < 7:
        parts.append(_weekdays(weekdays))
    if len(month_days) < 31:
        if len(month_days) > _MOST_TIMES:
            return None
        days = _listed([f"{day}" for day in month_days])
        parts.append(f"on day {days} of the month" if len(month_days) == 1 else f"on days {days} of the month")
    if not parts:
        return "" if len(cron.hours) * len(cron.minutes) > _MOST_TIMES or len(cron.hours) == 24 else " every day"
    return "".join(f" {part}" for part in parts)


def _weekdays(days: tuple[int, ...]) -> str:
    if days == (1, 2, 3, 4, 5):
        return "on weekdays"
    if days == (0, 6):
        return "at weekends"
    return f"on {_listed([f'{_WEEKDAYS[day]}s' for day in days])}"


def _month(cron: Cron) -> str:
    return "" if len(cron.months) == 12 else f" in {_listed([_MONTHS[month] for month in cron.months])}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
