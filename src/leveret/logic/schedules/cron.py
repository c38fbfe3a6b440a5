"""The next moment of a crontab in a zone, computed from the one before, exact over every change of the clocks.

Law: between two changes of its offset a zone's wall clock is a straight line. So the search goes from stretch to
stretch, and in each only whole wall-clock minutes are looked at.

Where the clocks change (docs/reference/schedules.md has the table):
- A crontab that names every hour follows the real hours: a minute that does not exist has no run, one that comes twice
  has two.
- Any other has one run for each wall-clock minute it names: what falls into a gap is run once, at the first minute
  after it; of a minute that comes twice only the first is run.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from leveret.model.schedules.timing import Cron

HORIZON_YEARS = 42
"""Any date that a calendar has comes within 40 years (the 29th of February on a given weekday)."""
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400
_SAMPLE = 43_200
"""No zone changes its offset twice within half a day."""
_MINUTES = 1440


class Stretch(NamedTuple):
    """A time of constant offset, in unix seconds. `shift` is by how much the wall clock jumped at its start: forward
    (a gap) when it is positive, back (a fold) when it is negative."""

    start: int
    end: int
    offset: int
    shift: int


def next_fire(cron: Cron, zone: tzinfo, after: float) -> float | None:
    """The first moment after `after`; None when the calendar has none."""
    once = len(cron.hours) < 24
    moment = int(after // 1) + 1
    for stretch in stretches(zone, moment):
        begin = max(moment, stretch.start)
        wall = begin + stretch.offset
        if once and stretch.shift > 0 and moment <= stretch.start:
            lost = next_wall(cron, wall - stretch.shift, wall)
            if lost is not None:
                return float(stretch.start)
        if once and stretch.shift < 0:
            wall = max(wall, stretch.start + stretch.offset - stretch.shift)
        found = next_wall(cron, wall, stretch.end + stretch.offset)
        if found is not None:
            return float(found - stretch.offset)
        moment = max(moment, stretch.end)
    return None


def stretches(zone: tzinfo, moment: int) -> Iterator[Stretch]:
    """The stretches of constant offset from the one that holds `moment` on, each cut at the turn of the year."""
    first = datetime.fromtimestamp(moment, UTC).year
    for year in range(first, first + HORIZON_YEARS):
        for stretch in stretches_of(zone, year):
            if stretch.end > moment:
                yield stretch


@lru_cache(maxsize=4096)
def stretches_of(zone: tzinfo, year: int) -> tuple[Stretch, ...]:
    """Those that end in a year (UTC); the first began with the last change before it, if the year before had one."""
    begin = _new_year(year - 1)
    start, offset, shift = begin, offset_at(zone, begin), 0
    for change, new in changes(zone, year - 1):
        start, offset, shift = change, new, new - offset
    found = []
    for change, new in changes(zone, year):
        found.append(Stretch(start, change, offset, shift))
        start, offset, shift = change, new, new - offset
    found.append(Stretch(start, _new_year(year + 1), offset, shift))
    return tuple(found)


@lru_cache(maxsize=4096)
def changes(zone: tzinfo, year: int) -> tuple[tuple[int, int], ...]:
    """When the zone's offset changes in a year (UTC), and the offset from then on."""
    found = []
    place, before = _new_year(year), offset_at(zone, _new_year(year))
    end = _new_year(year + 1)
    while place < end:
        ahead = min(place + _SAMPLE, end)
        after = offset_at(zone, ahead)
        if after != before:
            found.append((_change_between(zone, place, ahead), after))
        place, before = ahead, after
    return tuple(found)


def _change_between(zone: tzinfo, low: int, high: int) -> int:
    """The first second of the new offset."""
    old = offset_at(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(zone, middle) == old:
            low = middle
        else:
            high = middle
    return high


def offset_at(zone: tzinfo, moment: int) -> int:
    """Seconds the wall clock is ahead of UTC."""
    offset = datetime.fromtimestamp(moment, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


@lru_cache(maxsize=512)
def _new_year(year: int) -> int:
    return (date(year, 1, 1).toordinal() - _EPOCH) * _DAY


def next_wall(cron: Cron, wall: int, limit: int) -> int | None:
    """The first whole minute from `wall` on, before `limit`, that all five fields name. Seconds since 1970-01-01 00:00
    on the wall clock."""
    day, minute = divmod(-(-wall // 60), _MINUTES)
    while day * _DAY < limit:
        found = date.fromordinal(_EPOCH + day)
        if found.month not in cron.months:
            day, minute = _next_month(found) - _EPOCH, 0
            continue
        if found.day in cron.days_of_month and found.isoweekday() % 7 in cron.days_of_week:
            time = _time_from(cron, minute)
            if time is not None:
                answer = (day * _MINUTES + time) * 60
                return answer if answer < limit else None
        day, minute = day + 1, 0
    return None


def _next_month(found: date) -> int:
    year, month = divmod(found.year * 12 + found.month, 12)
    return date(year, month + 1, 1).toordinal()


def _time_from(cron: Cron, minute: int) -> int | None:
    """The first minute of a day from `minute` on that its hours and minutes name."""
    hour, past = divmod(minute, 60)
    hours, minutes = cron.hours, cron.minutes
    place = bisect_left(hours, hour)
    if place < len(hours) and hours[place] == hour:
        found = bisect_left(minutes, past)
        if found < len(minutes):
            return hour * 60 + minutes[found]
        place += 1
    return hours[place] * 60 + minutes[0] if place < len(hours) else None
