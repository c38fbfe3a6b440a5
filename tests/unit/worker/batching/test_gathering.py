"""How calls come together in a worker: every pool, with the real clock."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.unit.worker.rig import CODEC, NODE, SESSION, Rig

from leveret.errors import SoftTimeLimitExceeded
from leveret.executors.batches import BatchExecutor
from leveret.model.delivery import Claim, SessionId
from leveret.model.limiting.declared import Batch
from leveret.model.node import Reaping
from leveret.ports.executor import Executor
from leveret.worker.batching.runner import BatchRunner
from leveret.worker.worker import Worker


class BatchRig(Rig):
    """A rig whose worker knows batch tasks."""

    def __post_init__(self) -> None:
        super().__post_init__()
        runs = BatchRunner(self.runner)
        inner: Executor = type(self.executor)(runs.run, runs.run_async, self.slots)
        self.executor = BatchExecutor(inner)

    def worker(self, *args: Any, **parts: Any) -> Worker:
        return super().worker(*args, batches=True, **parts)

    def batch(self, run: Callable[..., Any], *, size: int = 100, within: float = 0.3, **options: Any) -> None:
        self.tasks.add(run, "batch", batch=Batch(size=size, within=within), run_batch=run, **options)


POOLS = [("prefork", 1), ("threads", 1), ("threads", 3), ("asyncio", 1), ("asyncio", 5)]


@pytest.mark.parametrize(("pool", "slots"), POOLS)
@pytest.mark.parametrize("acks_late", [True, False], ids=["late", "early"])
def test_batches_fill_up_whatever_the_slots_and_the_rest_comes_after_a_while(pool, slots, acks_late):
    rig, sizes = BatchRig(pool=pool, slots=slots), []

    def plain(calls):
        sizes.append(len(calls))
        return [call.args[0] for call in calls]

    async def coroutine(calls):
        return plain(calls)

    rig.batch(coroutine if pool == "asyncio" else plain, acks_late=acks_late)

    async def scenario(worker):
        ids = [await rig.send("batch", n) for n in range(250)]
        assert [(await rig.result(id)).result for id in ids] == list(range(250))
        await rig.claimed(0, 0)

    rig.run(scenario)
    assert sum(sizes) == 250
    # The first claims are small, and more than one slot shares what is there; it is never call by call.
    assert max(sizes) == 100 and len(sizes) <= 5


def test_a_batch_of_early_and_tracked_calls_is_announced_and_acknowledged_when_it_begins():
    rig, release = BatchRig(pool="threads"), threading.Event()

    def run(calls):
        release.wait(10)

    rig.batch(run, acks_late=False, track_started=True, within=0.2)

    async def scenario(worker):
        ids = [await rig.send("batch", n) for n in range(3)]
        await rig.claimed(0, 3)
        await rig.claimed(0, 0)
        assert {record.state for record in await rig.backend.get(ids)} == {"STARTED"}
        release.set()
        assert {(await rig.result(id)).status for id in ids} == {"SUCCESS"}

    rig.run(scenario)


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 1), ("threads", 2)])
def test_other_tasks_are_not_held_up_by_calls_that_wait(pool, slots):
    rig = BatchRig(pool=pool, slots=slots)
    rig.batch(lambda calls: None, within=30)
    rig.tasks.add(lambda n: n, "other")

    async def scenario(worker):
        for n in range(5):
            await rig.send("batch", n)
        began = time.monotonic()
        for n in range(50):
            assert (await rig.result(await rig.send("other", n))).result == n
        assert time.monotonic() - began < 5
        assert (await rig.counts()).claimed == 5

    rig.run(scenario)


@pytest.mark.parametrize("slots", [1, 2])
def test_a_long_task_sends_back_what_waits_for_its_slot_not_what_waits_for_company(slots):
    rig, release, sizes = BatchRig(pool="threads", slots=slots), threading.Event(), []
    rig.batch(lambda calls: sizes.append(len(calls)), within=0.5)
    rig.tasks.add(lambda: release.wait(20), "long")

    async def scenario(worker):
        for n in range(3):
            await rig.send("batch", n)
        await rig.claimed(0, 3)
        await rig.send("long")
        await rig.claimed(0, 4)
        if slots == 1:
            # Its time has come and the slot is taken: others may have it.
            await rig.claimed(3, 1)
        else:
            await rig.until(lambda: sizes)
        release.set()
        await rig.until(lambda: sizes)
        await rig.claimed(0, 0)

    rig.run(scenario)
    assert sizes == [3]


def test_a_stopping_worker_gives_back_what_waits_for_company():
    rig = BatchRig(pool="threads")
    rig.batch(lambda calls: None, within=60)

    async def scenario(worker):
        ids = [await rig.send("batch", n) for n in range(7)]
        await rig.claimed(0, 7)
        worker.quiet()
        await rig.claimed(7, 0)
        await rig.driver.leases().register(NODE, (msgspec.structs.replace(SESSION, id=SessionId("s2")),))
        back = await rig.broker.claim(Claim(session=SessionId("s2"), queues=("default",), credit=9, number=0))
        assert [CODEC.decode(one.encoded, "default").id for one in back] == ids
        assert {one.count for one in back} == {1}

    rig.run(scenario)


def test_in_burst_nothing_waits_for_company_that_will_not_come():
    rig, sizes = BatchRig(pool="threads", options={"burst": True}), []
    rig.batch(lambda calls: sizes.append(len(calls)), within=600)

    async def scenario(worker):
        await rig.until(lambda: rig.drained)

    async def first():
        for n in range(30):
            await rig.send("batch", n)

    asyncio.run(first())
    rig.run(scenario)
    assert sizes == [30]


def test_what_expires_or_is_revoked_while_it_waits_does_not_begin():
    rig, got = BatchRig(pool="threads"), []
    rig.batch(lambda calls: got.extend(call.args[0] for call in calls), within=0.6)

    async def scenario(worker):
        fine = await rig.send("batch", "fine")
        late = await rig.send("batch", "late", expires=time.time() + 0.3)
        await rig.claimed(0, 2)
        assert (await rig.result(late)).status == "REVOKED"
        assert (await rig.result(fine)).status == "SUCCESS"

    rig.run(scenario)
    assert got == ["fine"]


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_a_soft_limit_ends_the_whole_run_once(pool):
    rig, raised = BatchRig(pool=pool, slots=2 if pool == "asyncio" else 1), []

    def plain(calls):
        calls[0].succeed("before")
        try:
            for _ in range(1000):
                time.sleep(0.01)
        except SoftTimeLimitExceeded:
            raised.append(1)
            raise

    async def coroutine(calls):
        calls[0].succeed("before")
        try:
            await asyncio.sleep(10)
        except SoftTimeLimitExceeded:
            raised.append(1)
            raise

    rig.batch(coroutine if pool == "asyncio" else plain, soft_time_limit=0.2)

    async def scenario(worker):
        ids = [await rig.send("batch", n) for n in range(10)]
        metas = [await rig.result(id) for id in ids]
        assert [meta.status for meta in metas] == ["SUCCESS"] + ["FAILURE"] * 9
        assert {meta.error.type for meta in metas[1:]} == {"SoftTimeLimitExceeded"}

    rig.run(scenario)
    assert raised == [1]


def test_a_hard_limit_fails_every_call_and_ends_the_process():
    rig, release = BatchRig(pool="threads"), threading.Event()
    rig.batch(lambda calls: release.wait(20) and None, time_limit=0.3)

    async def scenario(worker):
        ids = [await rig.send("batch", n) for n in range(5)]
        assert {(await rig.result(id)).error.type for id in ids} == {"TimeLimitExceeded"}
        await rig.until(lambda: rig.drained)
        assert rig.drained == ["hard time limit"]
        await rig.claimed(0, 0)
        release.set()

    rig.run(scenario)


def test_terminating_one_call_leaves_the_others_alone():
    rig, release = BatchRig(pool="threads", slots=2), threading.Event()
    rig.batch(lambda calls: release.wait(20) and None)

    async def scenario(worker):
        ids = [await rig.send("batch", n) for n in range(4)]
        await rig.until(lambda: len(worker._dispatcher.running()) == 4)
        assert await worker.respondent.answer("terminate", {"marks": [ids[1]], "signal": 15}, None) == [ids[1]]
        release.set()
        # Where there is a store, what was revoked is in it before, and stands.
        assert [(await rig.result(id)).status for id in ids] == ["SUCCESS"] * 4
        assert not rig.drained

    rig.run(scenario)


def test_inspection_names_each_call_and_does_not_start_their_wait_over():
    rig, sizes = BatchRig(pool="threads"), []
    rig.batch(lambda calls: sizes.append(len(calls)), within=0.5)

    async def scenario(worker):
        for n in range(3):
            await rig.send("batch", n)
        await rig.claimed(0, 3)
        end = time.monotonic() + 5
        while not sizes and time.monotonic() < end:
            reserved = await worker.respondent.answer("reserved", {}, None)
            assert len(reserved) in (0, 3)
            await asyncio.sleep(0.01)
        assert sizes == [3]

    rig.run(scenario)


def test_a_process_takes_no_more_than_its_share_of_tasks():
    rig, sizes = BatchRig(pool="threads", options={"max_tasks_per_child": 30}), []
    rig.batch(lambda calls: sizes.append(len(calls)))

    async def scenario(worker):
        for n in range(100):
            await rig.send("batch", n)
        await rig.until(lambda: rig.drained)
        assert rig.drained == ["max tasks per child"]
        await rig.claimed(70, 0)

    rig.run(scenario)
    assert sum(sizes) == 30


def test_in_quarantine_each_call_runs_alone():
    rig, sizes = BatchRig(pool="threads", options={"quarantine": True}), []
    rig.batch(lambda calls: sizes.append(len(calls)), within=60)

    async def scenario(worker):
        await rig.driver.leases().register(NODE, (msgspec.structs.replace(SESSION, id=SessionId("dead")),))
        for n in range(4):
            await rig.send("batch", n)
        claim = Claim(session=SessionId("dead"), queues=("default",), credit=9, number=0)
        held = await rig.broker.claim(claim)
        await rig.driver.leases().reap((Reaping(session=SessionId("dead"), suspect_others=True),))
        assert len(held) == 4
        await rig.until(lambda: len(sizes) == 4)

    rig.run(scenario)
    assert sizes == [1, 1, 1, 1]
