"""Which moments are due, and which of them are run."""

import time
from datetime import UTC, datetime

import pytest

from leveret import crontab
from leveret.logic.schedules.ticks import choose, decide, due_moments, local, next_moment, upcoming
from leveret.model.schedules.entry import CatchUp, Entry, Standing
from leveret.model.schedules.timing import Every

DAY = 86_400.0
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()


def every(seconds: float, **facts) -> Entry:
    return Entry(name="a", task="t", timing=Every(seconds=seconds, relative=facts.pop("relative", False)), **facts)


def cron(line: str, **facts) -> Entry:
    return Entry(name="a", task="t", timing=crontab.from_string(line).timing(), **facts)


def standing(entry: Entry, cursor: float) -> Standing:
    return Standing(entry=entry, revision=1, cursor=cursor, due=0.0)


def test_an_interval_counts_from_the_moment_before_and_never_drifts() -> None:
    moves = decide(standing(every(30.0), NOON), NOON + 31.7)

    assert (moves.cursor, moves.due) == (NOON + 30.0, NOON + 60.0)


def test_an_interval_begins_with_its_start_and_ends_with_its_end() -> None:
    entry = every(60.0, start=NOON + 100.0, end=NOON + 250.0)

    assert upcoming(entry, NOON, NOON, 10) == [NOON + 100.0, NOON + 160.0, NOON + 220.0]


def test_a_crontab_keeps_to_its_start_and_end() -> None:
    entry = cron("*/10 * * * *", start=NOON + 600.0, end=NOON + 1800.0)

    assert upcoming(entry, NOON - DAY, NOON, 10) == [NOON + 600.0, NOON + 1200.0, NOON + 1800.0]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(90.0, ["12:01:00", "12:02:00"]), (3600.0, ["13:00:00", "14:00:00"]), (7200.0, ["14:00:00", "16:00:00"]),
     (30.0, ["12:00:47", "12:01:17"])],
)  # fmt: skip
def test_a_relative_interval_is_cut_to_its_unit(seconds: float, expected: list[str]) -> None:
    moments = upcoming(every(seconds, relative=True), NOON + 17.0, NOON + 17.0, 2)

    assert [f"{local(moment, 'UTC'):%H:%M:%S}" for moment in moments] == expected


def test_a_relative_day_begins_at_midnight_of_its_zone_whatever_the_clocks_do() -> None:
    entry = every(DAY, relative=True, zone="Europe/Berlin")
    begin = datetime(2026, 3, 27, 12, tzinfo=UTC).timestamp()

    moments = [local(moment, "Europe/Berlin") for moment in upcoming(entry, begin, begin, 4)]

    assert [(moment.day, moment.hour) for moment in moments] == [(28, 0), (29, 0), (30, 0), (31, 0)]


FRESH = [NOON - 4.0, NOON - 1.0]
OLD = [NOON - 300.0, NOON - 200.0, NOON - 100.0]


@pytest.mark.parametrize(
    ("policy", "due", "expected"),
    [
        (CatchUp(policy="skip"), OLD, []),
        (CatchUp(policy="skip"), OLD + FRESH, FRESH),
        (CatchUp(policy="one"), OLD, OLD[-1:]),
        (CatchUp(policy="one"), OLD + FRESH, FRESH),
        (CatchUp(policy="all"), OLD + FRESH, OLD + FRESH),
        (CatchUp(policy="all", most=4), OLD + FRESH, OLD[1:] + FRESH),
        (CatchUp(policy="all", most=2), OLD, OLD[1:]),
        (CatchUp(policy="all", most=1), OLD + FRESH, FRESH),
        (CatchUp(policy="all", within=250.0), OLD, OLD[1:]),
        (CatchUp(policy="one", within=50.0), OLD, []),
        (CatchUp(policy="one"), [], []),
    ],
)
def test_each_policy_chooses_what_it_says(policy, due, expected) -> None:
    assert choose(policy, due, NOON) == expected


def test_of_several_runs_that_must_not_overlap_the_last_is_sent() -> None:
    move = decide(standing(every(1.0, overlap="skip"), NOON - 3.0), NOON)

    assert [fire.moment for fire in move.fires] == [NOON]
    assert [(run.moment, run.outcome) for run in move.skipped] == [(NOON - 2.0, "skipped"), (NOON - 1.0, "skipped")]


@pytest.mark.parametrize("entry", [every(1.0), every(60.0, relative=True), cron("* * * * *"), cron("0 0 1 1 *")])
def test_ten_years_without_a_scheduler_are_looked_back_on_quickly(entry: Entry) -> None:
    started = time.perf_counter()

    due, _ = due_moments(entry, NOON - 3650 * DAY, NOON)

    assert NOON - due[-1] < (60.0 if entry.timing != cron("0 0 1 1 *").timing else 100 * DAY)
    assert due[-1] <= NOON
    assert (next_moment(entry, due[-1]) or 0.0) > NOON
    assert time.perf_counter() - started < 3.0


def test_a_deadline_of_a_day_makes_no_day_of_moments() -> None:
    due, earlier = due_moments(every(1.0, catch_up=CatchUp(within=DAY)), NOON - 10 * DAY, NOON)

    assert earlier
    assert len(due) < 20
