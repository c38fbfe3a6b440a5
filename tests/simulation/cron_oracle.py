"""A crontab by the written rules (docs/reference/schedules.md), found the slow way: every minute of years is looked at.

It shares nothing with `leveret.logic.schedules.cron` but the sets of numbers: it only asks the zone what time it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from leveret.model.schedules.timing import Cron

MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Line:
    """One crontab while the oracle walks."""

    number: int
    every_hour: bool
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    times: frozenset[tuple[int, int]]

    def names_day(self, wall: datetime) -> bool:
        return wall.month in self.months and wall.day in self.days and wall.isoweekday() % 7 in self.weekdays

    def names(self, wall: datetime) -> bool:
        return self.names_day(wall) and (wall.hour, wall.minute) in self.times


def fires(crons: Sequence[Cron], zone: ZoneInfo, begin: datetime, end: datetime) -> list[list[int]]:
    """Of each crontab the unix times from `begin` to `end` (UTC, whole minutes) at which it is due."""
    lines = [_line(number, cron) for number, cron in enumerate(crons)]
    found: list[list[int]] = [[] for _ in crons]
    today, at_time = 0, _by_time([])
    before = datetime.fromtimestamp(begin.timestamp() - 60, zone).replace(tzinfo=None, fold=0)
    for moment in range(int(begin.timestamp()), int(end.timestamp()), 60):
        here = datetime.fromtimestamp(moment, zone)
        wall = here.replace(tzinfo=None, fold=0)
        if wall.day != today:
            today, at_time = wall.day, _by_time([line for line in lines if line.names_day(wall)])
        due = {line.number for line in at_time[wall.hour * 60 + wall.minute] if line.every_hour or not here.fold}
        if wall - before > MINUTE:
            lost = list(minutes(before + MINUTE, wall))
            due |= {line.number for line in lines if not line.every_hour and any(map(line.names, lost))}
        for number in due:
            found[number].append(moment)
        before = wall
    return found


def _by_time(lines: list[Line]) -> list[list[Line]]:
    """The lines of one day, by minute."""
    found: list[list[Line]] = [[] for _ in range(1440)]
    for line in lines:
        for hour, minute in line.times:
            found[hour * 60 + minute].append(line)
    return found


def minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    while begin < end:
        yield begin
        begin += MINUTE


def _line(number: int, cron: Cron) -> Line:
    return Line(
        number=number,
        every_hour=set(cron.hours) == set(range(24)),
        days=frozenset(cron.days_of_month),
        months=frozenset(cron.months),
        weekdays=frozenset(cron.days_of_week),
        times=frozenset((hour, minute) for hour in cron.hours for minute in cron.minutes),
    )


def utc(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)
