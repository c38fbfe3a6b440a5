"""What a scheduler does when something goes wrong, in virtual time."""

import asyncio

import pytest
from msgspec.structs import replace

from leveret import crontab
from leveret.brokers.memory import MemoryBroker
from leveret.errors import OperationalError, PublishFailed
from leveret.links.memory.server import MemoryServer
from leveret.links.memory.store import MemoryBackend
from leveret.model.delivery import Posting
from leveret.model.message import TaskId
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.model.state import RETRY, SUCCESS
from leveret.scheduler.overlap import Overlaps
from leveret.scheduler.scheduler import Scheduler, SchedulerParts
from leveret.schedulestores.memory import MemorySchedules
from leveret.testing.clock import SimClock
from leveret.testing.conformance.schedules.rig import entry
from leveret.testing.loop import run_virtual


class Bench:
    """One scheduler on the memory drivers; `refused` is what its broker does not take."""

    def __init__(self, *entries) -> None:
        self.clock = SimClock()
        self.server = MemoryServer(DriverOptions(), self.clock)
        self.store = MemorySchedules(self.server)
        self.logged: list[tuple[str, str]] = []
        self.published: list[Posting] = []
        self.refused = lambda posting: None
        self.parts = SchedulerParts(
            store=self.store,
            publish=self.publish,
            clock=self.clock,
            overlaps=Overlaps(MemoryBackend(self.server).get),
            source="code",
            entries=entries,
            log=lambda level, text, **fields: self.logged.append((level, text)),
        )

    async def publish(self, postings) -> None:
        for posting in postings:
            error = self.refused(posting)
            if error is not None:
                raise error
        await MemoryBroker(self.server).publish(postings)
        self.published += postings

    def sent(self) -> list[str]:
        return [posting.id for posting in self.published]

    def run(self, seconds: float, *during) -> None:
        async def main() -> None:
            running = asyncio.ensure_future(Scheduler(self.parts).run())
            for work in during:
                await work
            await asyncio.sleep(seconds)
            running.cancel()

        run_virtual(main(), self.clock)

    async def history(self, name: str = "a"):
        (standing,) = await self.store.look((name,), runs=20)
        return standing.runs


def look(bench: Bench, name: str = "a"):
    return asyncio.run(bench.history(name))


def test_a_run_that_the_broker_does_not_take_is_sent_when_it_does():
    bench = Bench(entry("a", 10.0, source="code"))
    bench.refused = lambda posting: OperationalError("down") if bench.clock.elapsed < 17.0 else None

    bench.run(19.0)

    (run,) = look(bench)
    assert run.moment == bench.clock.start + 10.0
    assert 7.0 <= run.late <= 9.5
    assert len(bench.sent()) == 1
    assert ("warning", "runs cannot be sent and are tried again") in bench.logged


def test_a_run_that_is_refused_holds_up_no_other():
    bench = Bench(entry("a", 10.0, source="code"), entry("b", 10.0, source="code"))
    bad = lambda posting: posting.encoded.headers["periodic_task_name"] == "a"  # noqa: E731
    bench.refused = lambda posting: PublishFailed("no such exchange") if bad(posting) else None

    bench.run(11.0)

    assert look(bench, "a") == ()
    assert len(look(bench, "b")) == 1


def test_a_store_that_is_out_is_tried_again_and_told_once():
    bench = Bench(entry("a", 10.0, source="code"))
    honest = bench.store.due

    async def due(limit):
        if 5.0 < bench.clock.elapsed < 25.0:
            raise OperationalError("gone")
        return await honest(limit)

    bench.store.due = due
    bench.run(31.0)

    assert [text for _, text in bench.logged].count("the schedule's store cannot be reached and is tried again") == 1
    assert ("info", "the schedule's store answers again") in bench.logged
    assert len(look(bench)) == 2


def test_a_change_takes_effect_within_a_second():
    bench = Bench(entry("a", 3600.0, source="code"))

    async def change() -> None:
        await asyncio.sleep(5.0)
        await bench.store.put((entry("own", 0.4),))

    bench.run(0.95, change())

    assert len(look(bench, "own")) == 2


def test_an_entry_the_code_no_longer_defines_leaves_the_store():
    bench = Bench(entry("a", 10.0, source="code"))
    bench.run(1.0)
    bench.parts = replace_parts(bench.parts, entries=())

    bench.run(1.0)

    assert asyncio.run(bench.store.look()) == ()


def test_an_entry_that_cannot_be_planned_here_is_told_once_and_holds_up_no_other():
    nowhere = replace(entry("bad", 10.0, source="code"), timing=crontab().timing(), zone="Mars/Olympus")
    bench = Bench(nowhere, entry("a", 10.0, source="code"))

    bench.run(31.0)

    assert len(look(bench, "a")) == 3
    assert [text for level, text in bench.logged if level == "error"] == [
        "an entry's next moment cannot be computed here"
    ]


def test_a_broker_that_refuses_slowly_does_not_hold_up_the_scheduler_for_long():
    bench = Bench(*(entry(f"e{number}", 10.0, source="code") for number in range(50)))

    async def publish(postings):
        await asyncio.sleep(1.0)
        raise PublishFailed("full")

    bench.parts = replace_parts(bench.parts, publish=publish)
    bench.run(20.0)

    assert sum("a run cannot be sent" in text for _, text in bench.logged) <= 12


def test_two_apps_that_define_the_same_name_are_told():
    bench = Bench(entry("a", 10.0, source="code"))
    asyncio.run(bench.store.sync("code of another", (entry("a", 5.0, source="code of another"),)))

    bench.run(1.0)

    assert any(text.startswith("another app defines an entry of this name") for _, text in bench.logged)


@pytest.mark.parametrize(
    ("stood", "tasks", "told"),
    [
        ((entry("b", source="code"),), {"mine"}, True),
        ((entry("b", source="code"), entry("a", source="code")), {"mine"}, False),
        ((entry("b", source="code"),), {"mine", "t"}, False),
        ((entry("b", source="code of another"),), {"mine"}, False),
        ((), {"mine"}, False),
    ],
    ids=["nothing is ours", "new code of ours", "our task", "an app of another name", "an empty store"],
)
def test_two_apps_of_one_name_are_told_once(stood, tasks, told):
    bench = Bench(entry("a", 10.0, source="code"))
    bench.parts = replace_parts(bench.parts, tasks=frozenset(tasks))
    for source in {one.source for one in stood}:
        asyncio.run(bench.store.sync(source, tuple(one for one in stood if one.source == source)))

    bench.run(1.0)

    warned = [text for level, text in bench.logged if level == "warning"]
    assert [text.startswith("the schedule held entries of an app of this name") for text in warned] == [True] * told


def replace_parts(parts: SchedulerParts, **changes) -> SchedulerParts:
    from dataclasses import replace as changed

    return changed(parts, **changes)


@pytest.mark.parametrize("ended", [True, False])
def test_an_entry_that_must_not_overlap_waits_for_its_last_run(ended: bool):
    bench = Bench(entry("a", 10.0, source="code", overlap="skip"))

    async def conclude() -> None:
        await asyncio.sleep(15.0)
        (standing,) = await bench.store.look(("a",))
        state = SUCCESS if ended else RETRY
        bench.server.store(
            (Record(id=TaskId(standing.last), attempt=0, state=state, terminal=ended, tombstone=not ended),)
        )

    bench.run(6.0, conclude())

    assert [run.outcome for run in look(bench)] == (["sent", "sent"] if ended else ["skipped", "sent"])
    assert len(bench.sent()) == (2 if ended else 1)


def test_results_that_are_out_hold_up_only_what_must_not_overlap():
    bench = Bench(entry("a", 10.0, source="code", overlap="skip"), entry("b", 10.0, source="code"))

    async def get(ids):
        if bench.clock.elapsed < 25.0:
            raise OperationalError("gone")
        return tuple(Record(id=TaskId(key), attempt=0, state=SUCCESS, terminal=True) for key in ids)

    bench.parts = replace_parts(bench.parts, overlaps=Overlaps(get))
    bench.run(24.0)
    assert (len(look(bench, "a")), len(look(bench, "b"))) == (1, 2)

    bench.run(3.0)
    assert len(look(bench, "a")) == 2


def test_an_error_of_one_tick_does_not_end_the_scheduler():
    bench = Bench(entry("a", 10.0, source="code"))
    honest = bench.store.take
    broken = []

    async def take(moves):
        if not broken:
            broken.append(True)
            raise RuntimeError("a bug")
        return await honest(moves)

    bench.store.take = take
    bench.run(21.0)

    assert ("error", "the scheduler met an error and goes on") in bench.logged
    assert len(look(bench)) == 2


def test_what_was_taken_too_long_ago_is_left_to_others():
    bench = Bench(entry("a", 10.0, source="code"))
    honest = bench.store.take

    async def take(moves):
        answer = await honest(moves)
        if moves[0].fires:
            await asyncio.sleep(60.0)  # as a process that was stopped
        return answer

    bench.store.take = take
    bench.run(71.0)

    assert bench.sent() == []
    bench.store.take = honest
    bench.run(3.0)
    assert len(look(bench)) >= 1


def test_moments_have_one_message_each_with_the_terms_of_the_entry():
    bench = Bench(replace(entry("a", 10.0, source="code"), expires_after=5.0, delay=2.0))

    bench.run(10.5)

    (posting,) = bench.published
    assert posting.once
    assert posting.not_before == pytest.approx(bench.clock.start + 12.0, abs=0.1)
    assert posting.expires == pytest.approx(bench.clock.start + 15.0, abs=0.1)
    assert posting.encoded.headers["eta"].startswith("2023-11-14T22:13:32")
