import asyncio
import threading
import time

import pytest

from leveret.errors import SoftTimeLimitExceeded
from leveret.executors.coroutine import CoroutineExecutor
from leveret.executors.inline import InlineExecutor, raise_in_thread
from leveret.executors.thread import ThreadExecutor
from leveret.model.delivery import Receipt
from leveret.model.message import Message, TaskId
from leveret.model.outcome import Failed, Finished, Succeeded
from leveret.model.task import TaskDefinition
from leveret.ports.executor import Job


def job(name, is_async=False):
    definition = TaskDefinition(name="t", run=lambda: None, is_async=is_async)
    return Job(Receipt(name), Message(id=TaskId(name), task="t"), definition)


class Body:
    """Stands for the runner: each job waits for its gate."""

    def __init__(self):
        self.started = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)
        self.order = []

    def run(self, one, slot):
        self.order.append(one.receipt)
        self.started.release()
        self.gate.acquire()
        return Finished(Succeeded(slot), 0.0, 0.0)

    async def run_async(self, one, slot):
        self.order.append(one.receipt)
        self.started.release()
        while not self.gate.acquire(blocking=False):  # noqa: ASYNC110 - the gate belongs to another thread
            await asyncio.sleep(0.001)
        return Finished(Succeeded(slot), 0.0, 0.0)


class Served:
    """An executor whose `serve` runs on a thread of its own, and who waits for wake-ups."""

    def __init__(self, kind, slots, run, run_async=None):
        self.executor = kind(run, run_async or run, slots)
        self.wakes = threading.Semaphore(0)
        self.executor.open(self.wakes.release)
        self.thread = threading.Thread(target=self.executor.serve)
        self.thread.start()

    def collect(self, count):
        ended = []
        while len(ended) < count:
            assert self.wakes.acquire(timeout=10), f"no wake-up; have {ended}"
            ended += self.executor.finished()
        return ended

    def end(self):
        self.executor.close()
        self.thread.join(10)
        self.executor.dispose()
        assert not self.thread.is_alive()


KINDS = [(InlineExecutor, 1), (ThreadExecutor, 1), (ThreadExecutor, 3), (CoroutineExecutor, 1), (CoroutineExecutor, 3)]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("kind", "slots"), KINDS)
def test_jobs_start_in_order_and_the_unstarted_come_back_in_order(kind, slots, is_async):
    body = Body()
    served = Served(kind, slots, body.run, body.run_async)
    jobs = tuple(job(str(n), is_async) for n in range(slots + 4))

    assert served.executor.idle() == slots
    served.executor.start(jobs)
    for _ in range(slots):
        assert body.started.acquire(timeout=10)
    assert served.executor.idle() == 0
    back = served.executor.retract()

    assert back == jobs[slots:]
    assert {one.receipt for one, _ in served.executor.running()} == {one.receipt for one in jobs[:slots]}
    body.gate.release(slots)
    assert {one.receipt for one, _ in served.collect(slots)} == {one.receipt for one in jobs[:slots]}
    assert served.executor.idle() == slots
    assert sorted(body.order) == [one.receipt for one in jobs[:slots]]
    served.end()


@pytest.mark.parametrize("kind", [InlineExecutor, ThreadExecutor])
def test_one_wake_up_per_batch(kind):
    served = Served(kind, 1, lambda one, slot: Finished(Succeeded(slot), 0.0, 0.0))
    served.executor.start(tuple(job(str(n)) for n in range(500)))

    wakes, ended = 0, 0
    while ended < 500:
        assert served.wakes.acquire(timeout=10)
        wakes += 1
        ended += len(served.executor.finished())

    # A slot that runs dry rings; usually once, a few times where the threads alternate.
    assert wakes < 50
    served.end()


@pytest.mark.parametrize("kind", [ThreadExecutor, CoroutineExecutor])
def test_an_interrupt_hits_the_job_it_was_meant_for_and_no_later_one(kind):
    def run(one, slot):
        until = time.monotonic() + (10 if one.receipt == "long" else 0.02)
        while time.monotonic() < until:
            pass
        return Finished(Succeeded(slot), 0.0, 0.0)

    served = Served(kind, 1, run)
    for _ in range(20):
        served.executor.start((job("long"), job("next")))
        while not served.executor.running():
            time.sleep(0.0005)
        assert served.executor.interrupt(Receipt("long"), SoftTimeLimitExceeded)
        ended = {one.receipt: finished.outcome for one, finished in served.collect(2)}
        assert isinstance(ended["long"], Failed) and isinstance(ended["next"], Succeeded)
    assert served.executor.interrupt(Receipt("nobody"), SoftTimeLimitExceeded) is False
    served.end()


def test_a_strike_that_comes_as_the_job_ends_loses_neither_the_job_nor_the_slot():
    body = Body()
    served = Served(ThreadExecutor, 1, body.run)
    (slot,) = served.executor._slots
    served.executor.start((job("struck"), job("next")))
    assert body.started.acquire(timeout=10)

    # The loop's thread holds the guard, as it does in `interrupt`, while the job ends: the slot waits for it.
    with slot.guard:
        body.gate.release()
        time.sleep(0.05)
        slot.struck = True
        raise_in_thread(slot.thread, SoftTimeLimitExceeded)
    assert body.started.acquire(timeout=10)
    body.gate.release()

    assert [(one.receipt, type(finished.outcome)) for one, finished in served.collect(2)] in (
        [("struck", Failed), ("next", Succeeded)],
        [("struck", Succeeded), ("next", Succeeded)],
    )
    assert served.executor.idle() == 1
    served.end()


def test_a_plain_function_does_not_block_the_coroutines():
    gate, done = threading.Event(), threading.Event()

    def run(one, slot):
        gate.wait(10)
        return Finished(Succeeded(slot), 0.0, 0.0)

    async def run_async(one, slot):
        done.set()
        return Finished(Succeeded(slot), 0.0, 0.0)

    served = Served(CoroutineExecutor, 2, run, run_async)
    served.executor.start((job("plain"), job("coroutine", is_async=True)))
    assert done.wait(10)
    gate.set()
    ended = served.collect(2)
    # Two slots, two numbers.
    assert {finished.outcome.value for _, finished in ended} == {0, 1}
    served.end()


def test_the_main_thread_is_one_slot():
    with pytest.raises(ValueError, match="one slot, not 2"):
        InlineExecutor(lambda one, slot: None, None, 2)
