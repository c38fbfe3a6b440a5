"""The next moment of a crontab against a search through every minute, in zones that do all that zones do."""

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.e2e.drill import FULL, keep, size
from tests.simulation.cron_oracle import fires, utc

from leveret.client.schedules.timings import crontab
from leveret.logic.schedules.cron import next_fire
from leveret.model.schedules.timing import Cron

ZONES = (
    "Asia/Seoul",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour of summer time
    "America/St_Johns",
    "Asia/Kathmandu",
    "Africa/Casablanca",  # back in winter time for Ramadan
    "Pacific/Apia",  # without the 30th of December 2011
    "Europe/Berlin",
    "Africa/Cairo",  # changes at midnight
    "America/Sao_Paulo",  # no midnight on some days
    "Asia/Tehran",
    "Antarctica/Troll",  # two hours of summer time
    "Asia/Pyongyang",  # changed its offset for good, twice
)
EVERY_MINUTE = "* * * * *"
"""Has half a million moments a year: outside of the full size it is walked in two zones only."""
LINES = (
    EVERY_MINUTE, "*/5 * * * *", "0 * * * *", "30 * * * *", "0 */3 * * *", "*/7 */2 * * *", "30 2 * * *", "0 2 * * *",
    "*/20 1-3 * * *", "15 0,1,2,3 * * *", "0 0 * * *", "59 23 * * *", "30 1 * * sun", "30 7 * * mon-fri",
    "0 0 1 * *", "0 12 29 2 *", "0 0 31 * *", "45 2 * 3,10,11 *", "0 0 30 12 *", "10 0-23 * * *", "0 22-2 * * *",
    "5 4 1-7 * mon", "*/30 3 * * *", "0 1 * * *",
)  # fmt: skip
YEARS = {"Pacific/Apia": 2010, "America/Sao_Paulo": 2012, "Asia/Pyongyang": 2014, "Asia/Tehran": 2016}
"""Where a zone has been quiet of late, its livelier years."""


def cron(line: str) -> Cron:
    found = crontab.from_string(line).timing()
    assert isinstance(found, Cron)
    return found


@pytest.fixture(scope="module")
def figures():
    started = time.perf_counter()
    told = {"zones": len(ZONES), "lines": len(LINES), "minutes": 0, "fires": 0, "differences": 0}
    yield told
    told["seconds"] = round(time.perf_counter() - started)
    assert told["differences"] == 0
    if FULL:
        keep("cron", told)


@pytest.mark.parametrize("zone", ZONES)
def test_no_minute_differs_from_the_written_rules(zone: str, figures) -> None:
    first = YEARS.get(zone, 2020)
    begin, end = utc(first), utc(first + size(10, 1))
    written = [line for line in LINES if line != EVERY_MINUTE or FULL or zone in ZONES[1:4:2]]
    lines, where = [cron(line) for line in written], ZoneInfo(zone)

    expected = fires(lines, where, begin, end)

    for line, oracle in zip(written, expected, strict=True):
        found = walk(cron(line), where, begin.timestamp(), end.timestamp())
        figures["differences"] += len(set(found) ^ set(oracle))
        assert found == oracle, (line, sorted(set(found) ^ set(oracle))[:5])
        figures["fires"] += len(oracle)
    figures["minutes"] += int(end.timestamp() - begin.timestamp()) // 60


def walk(line: Cron, zone: ZoneInfo, begin: float, end: float) -> list[int]:
    found = []
    moment = next_fire(line, zone, begin - 1)
    while moment is not None and moment < end:
        found.append(int(moment))
        moment = next_fire(line, zone, moment)
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_has_as_many_runs_as_days_or_hours(zone: str) -> None:
    where = ZoneInfo(zone)
    for year in (2023, 2024):
        begin, end = (datetime(y, 1, 1, tzinfo=where).astimezone(UTC).timestamp() for y in (year, year + 1))
        days = 366 if year == 2024 else 365

        assert len(walk(cron("30 2 * * *"), where, begin, end)) == days
        assert len(walk(cron("0 * * * *"), where, begin, end)) in hours(where, days)


def hours(zone: ZoneInfo, days: int) -> tuple[int, ...]:
    """Half an hour of summer time leaves one full hour out and has none twice, or the other way round."""
    return (days * 24 - 1, days * 24, days * 24 + 1) if zone.key == "Australia/Lord_Howe" else (days * 24,)


@settings(max_examples=size(2000, 150))
@given(
    zone=st.sampled_from(ZONES),
    minute=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hour=st.one_of(st.just(set(range(24))), st.sets(st.integers(0, 23), min_size=1, max_size=6)),
    days=st.one_of(st.just(set(range(1, 32))), st.sets(st.integers(1, 31), min_size=1, max_size=5)),
    weekdays=st.one_of(st.just(set(range(7))), st.sets(st.integers(0, 6), min_size=1)),
    day=st.integers(0, 365 * 15),
    after=st.integers(0, 86_399),
)
def test_any_crontab_around_any_moment(zone, minute, hour, days, weekdays, day, after) -> None:
    where = ZoneInfo(zone)
    line = crontab(minute, hour, weekdays, days).timing()
    begin = datetime.fromtimestamp(utc(2010).timestamp() + day * 86_400, UTC)
    end = datetime.fromtimestamp(begin.timestamp() + 3 * 86_400, UTC)

    oracle = fires([line], where, begin, end)[0]

    place = begin.timestamp() + after
    assert walk(line, where, place + 1, end.timestamp()) == [m for m in oracle if m > place]


def test_a_moment_is_found_quickly_however_far_it_is() -> None:
    zone, rare = ZoneInfo("Europe/Berlin"), cron("0 0 29 2 mon")
    moment, started = 1_700_000_000.0, time.perf_counter()

    found = [moment := next_fire(rare, zone, moment) or 0.0 for _ in range(3)]

    assert [datetime.fromtimestamp(one, zone).year for one in found] == [2044, 2072, 2112]
    assert time.perf_counter() - started < 2.0
