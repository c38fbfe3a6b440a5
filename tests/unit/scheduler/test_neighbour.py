"""Celery's beat sends the same entries: each moment is run once, whoever dies, in virtual time."""

import asyncio
from itertools import pairwise

import pytest
from msgspec.structs import replace
from tests.unit.scheduler.test_scheduler import Bench

from leveret import crontab
from leveret.logic.schedules.neighbour import SLACK_SECONDS, is_from_beat, mark, marks_of
from leveret.logic.schedules.ticks import fire_of, postings
from leveret.model.delivery import Encoded
from leveret.model.schedules.entry import Standing
from leveret.model.schedules.timing import Every
from leveret.scheduler.scheduler import Scheduler
from leveret.testing.conformance.schedules.rig import entry
from leveret.testing.loop import run_virtual


class Beat:
    """Sends an entry at its own moments, and is seen to by the worker of a node a little later."""

    def __init__(self, bench: Bench, name: str, *, late: float = 0.3) -> None:
        self.bench, self.late, self.sent = bench, late, []
        (self.entry,) = (one for one in bench.parts.entries or () if one.name == name)
        self.seen: dict[str, float] = {}

    def ages(self) -> dict[str, float]:
        return {mark: self.bench.clock.now() - at for mark, at in self.seen.items()}

    async def run(self, first: float, every: float, count: int) -> None:
        await asyncio.sleep(first)
        for _ in range(count):
            self.sent.append(self.bench.clock.elapsed)
            await asyncio.sleep(self.late)
            self.seen[min(marks_of(self.entry), key=len)] = self.bench.clock.now()
            await asyncio.sleep(every - self.late)


def play(bench: Bench, beat: Beat, seconds: float, turns: tuple[float, float, int], *, others: int = 0) -> None:
    """One node whose worker sees beat, and others whose schedulers are told by the store only."""
    seeing, blind = replace_seen(bench, beat.ages), replace_seen(bench, dict)

    async def main() -> None:
        running = [asyncio.ensure_future(Scheduler(parts).run()) for parts in (*[blind] * others, seeing)]
        running.append(asyncio.ensure_future(beat.run(*turns)))
        await asyncio.sleep(seconds)
        for one in running:
            one.cancel()

    run_virtual(main(), bench.clock)


def replace_seen(bench: Bench, seen):
    from dataclasses import replace as changed

    return changed(bench.parts, seen=seen)


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize("phase", [0.2, 5.0, 9.7])
def test_intervals_that_beat_sends_are_left_to_it(phase: float, others: int):
    bench = Bench(entry("a", 10.0, source="code"))
    beat = Beat(bench, "a")

    play(bench, beat, 100.0, (phase, 10.0, 10), others=others)

    assert bench.sent() == []
    (standing,) = asyncio.run(bench.store.look(("a",), runs=20))
    assert {run.outcome for run in standing.runs} == {"by celery beat"}


@pytest.mark.parametrize("others", [0, 2])
def test_cron_moments_that_beat_sends_are_left_to_it(others: int):
    minute = entry("a", crontab(), source="code")
    bench = Bench(minute)
    beat = Beat(bench, "a")

    play(bench, beat, 600.0, (60.0 - bench.clock.now() % 60.0, 60.0, 11), others=others)

    assert bench.sent() == []


def test_what_beat_does_not_send_any_more_is_run_here():
    bench = Bench(entry("a", 10.0, source="code"))
    beat = Beat(bench, "a")

    play(bench, beat, 100.0, (5.0, 10.0, 4))

    # Beat's last run is at 35; ours begin within one interval, and then every one is there.
    assert len(bench.sent()) in (5, 6)
    assert any("not sent an entry any more" in text for _, text in bench.logged)


def test_without_beat_the_first_run_waits_once():
    bench = Bench(entry("a", 10.0, source="code"))
    beat = Beat(bench, "a")

    play(bench, beat, 45.0, (1000.0, 10.0, 1))

    assert len(bench.sent()) == 4
    (standing,) = asyncio.run(bench.store.look(("a",), runs=20))
    lateness = [run.late for run in reversed(standing.runs)]
    assert SLACK_SECONDS <= lateness[0] <= SLACK_SECONDS + 0.6
    assert max(lateness[1:]) < 0.01
    moments = [run.moment for run in reversed(standing.runs)]
    assert all(later - earlier == pytest.approx(10.0) for earlier, later in pairwise(moments))


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0])
def test_what_is_due_more_often_than_the_wait_is_run_too(seconds: float):
    bench = Bench(entry("a", seconds, source="code"))
    beat = Beat(bench, "a")

    play(bench, beat, 30.5, (1000.0, 10.0, 1))

    assert len(bench.sent()) == int(30.5 / seconds)


def test_what_must_not_overlap_itself_is_run_too():
    bench = Bench(replace(entry("a", 0.5, source="code"), overlap="skip"))
    beat = Beat(bench, "a")

    play(bench, beat, 10.0, (1000.0, 10.0, 1))

    assert bench.sent()


def test_a_beat_of_every_second_is_left_alone_and_followed():
    bench = Bench(entry("a", 1.0, source="code"))
    beat = Beat(bench, "a")

    play(bench, beat, 30.5, (0.5, 1.0, 15))

    # Beat's last run is at 14.5.
    assert 12 <= len(bench.sent()) <= 15


def test_another_call_of_the_same_task_is_not_this_entry():
    one = entry("a", 10.0, source="code")
    other = replace(one, postings=(replace(one.postings[0], encoded=Encoded({}, b'[[1], {"x": 2}, {}]')),))

    assert marks_of(one) & marks_of(other) == {f"{one.task} *"}
    assert mark(one.task, one.postings[0].encoded) in marks_of(one)
    assert mark(one.task, Encoded({}, b"\x80\x04", "application/x-python-serialize")) in marks_of(one) & marks_of(other)


def test_what_our_own_schedulers_send_is_not_beats():
    one = entry("a", 10.0)
    standing = Standing(entry=one, revision=1, cursor=0.0, due=10.0)
    (posting,) = postings(fire_of(standing, 10.0), 10.0)

    assert isinstance(one.timing, Every)
    assert not is_from_beat(posting.encoded.headers)
    assert is_from_beat({"celery_beat_task": True})
