"""What a worker does with tasks that are limited, on the memory driver."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.worker.rig import Rig

from leveret.errors import BrokerError, Ignore, Snooze
from leveret.model.delivery import SessionId
from leveret.model.limiting.declared import CircuitBreaker, Concurrency, Rate, RetryBudget, Unique
from leveret.model.limiting.gate import BoundState, Wish
from leveret.model.message import UNIQUE
from leveret.model.node import Reaping
from leveret.model.remote.steering import Steering
from leveret.model.task import RetryPolicy

POOLS = ("prefork", "threads", "asyncio")
AT_ONCE = RetryPolicy(max_retries=2, autoretry_for=(OSError,), default_retry_delay=0.0, retry_jitter=False)


def gated(rig: Rig, scenario: Callable[..., Any], **parts: Any) -> Any:
    return rig.run(scenario, gate=rig.driver.gate(), **parts)


def state(rig: Rig, kind: str) -> BoundState | None:
    return next((one for one in rig.driver.insight().states(100) if one.bound == kind), None)


async def freed(rig: Rig) -> None:
    await rig.until(lambda: (found := state(rig, "slots")) is None or not found.held)


class Gauge:
    """How many run at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


@pytest.mark.parametrize("pool", ["threads", "asyncio"])
@pytest.mark.parametrize("fused", [True, False])
def test_no_more_run_at_once_than_a_concurrency_allows(pool, fused):
    rig, gauge = Rig(pool=pool, slots=8, fused=fused), Gauge()

    def work():
        with gauge:
            time.sleep(0.01)

    async def awork():
        with gauge:
            await asyncio.sleep(0.01)

    rig.tasks.add(awork if pool == "asyncio" else work, "work", limits=(Concurrency(3),))

    async def scenario(worker):
        ids = [await rig.send("work") for _ in range(40)]
        for id in ids:
            await rig.result(id)
        await freed(rig)

    gated(rig, scenario)
    assert gauge.most <= 3


@pytest.mark.parametrize("pool", POOLS)
def test_runs_start_at_the_rate_and_others_are_not_held_up(pool):
    rig, starts = Rig(pool=pool), []
    rig.tasks.add(lambda: starts.append(time.time()), "paced", limits=(Rate("50/s", burst=1),))
    rig.tasks.add(lambda: time.time(), "free")

    async def scenario(worker):
        paced = [await rig.send("paced") for _ in range(30)]
        began = time.time()
        free = [await rig.send("free") for _ in range(100)]
        ended = [(await rig.result(id)).result for id in free]
        for id in paced:
            await rig.result(id)
        return max(ended) - began

    waited = gated(rig, scenario)
    assert starts[-1] - starts[0] >= 29 * 0.02 - 0.05
    assert waited < 0.5


def test_who_waits_is_uncounted_and_received_once(caplog):
    rig, counts = Rig(), []
    caplog.set_level("INFO", "leveret.task")

    def note(self: Any = None) -> None:
        from leveret.model.request import CURRENT

        request = CURRENT.get()
        assert request is not None
        counts.append(request.delivery_info["redelivered"])

    rig.tasks.add(note, limits=(Rate("20/s", burst=1),))

    async def scenario(worker):
        for id in [await rig.send("note") for _ in range(5)]:
            await rig.result(id)

    gated(rig, scenario)
    assert counts == [False] * 5
    assert sum("received" in record.getMessage() for record in caplog.records) == 5


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("end", ["succeed", "fail", "ignore", "snooze", "retry"])
def test_a_slot_is_free_however_a_run_ends(end, fused):
    rig, runs = Rig(fused=fused), []

    def job():
        runs.append(1)
        if end == "fail":
            raise ValueError
        if end == "ignore":
            raise Ignore
        if end == "snooze" and len(runs) == 1:
            raise Snooze(0.0)
        if end == "retry" and len(runs) == 1:
            raise OSError

    rig.tasks.add(job, limits=(Concurrency(1),), retry=AT_ONCE)

    async def scenario(worker):
        await rig.send("job")
        again = end in ("snooze", "retry")
        await rig.until(lambda: len(runs) == 1 + again)
        await freed(rig)
        await rig.send("job")
        await rig.until(lambda: len(runs) == 2 + again)
        await freed(rig)

    gated(rig, scenario)


def test_at_most_once_tasks_hold_slots_and_free_them():
    rig, ran = Rig(), []
    rig.tasks.add(lambda: ran.append(1), "job", limits=(Concurrency(1),), acks_late=False, track_started=True)

    async def scenario(worker):
        for id in [await rig.send("job") for _ in range(5)]:
            await rig.result(id)
        await freed(rig)

    gated(rig, scenario)
    assert len(ran) == 5


def test_what_is_given_back_unstarted_holds_nothing():
    rig, begin = Rig(pool="threads"), threading.Event()
    rig.tasks.add(lambda: begin.wait(10), "long", limits=(Concurrency(64),))

    async def scenario(worker):
        # Timed as short first, so that several are claimed and let in at once.
        begin.set()
        for id in [await rig.send("long") for _ in range(200)]:
            await rig.result(id)
        begin.clear()
        last = [await rig.send("long") for _ in range(20)]
        await rig.until(lambda: (found := state(rig, "slots")) is not None and found.held == 1)
        begin.set()
        for id in last:
            await rig.result(id)
        await freed(rig)

    gated(rig, scenario)


def test_a_run_goes_on_under_the_renewed_session_with_its_slot():
    rig, gates = Rig(pool="threads", slots=3), [threading.Event(), threading.Event()]
    left, begun = iter(gates), []

    def wait():
        gate = next(left, gates[1])
        begun.append(gate)
        gate.wait(10)

    rig.tasks.add(wait, "wait", limits=(Concurrency(1),))
    rig.tasks.add(lambda: None, "other")

    async def scenario(worker):
        first = await rig.send("wait")
        await rig.until(lambda: len(begun) == 1)
        before = worker.session
        await rig.driver.leases().reap((Reaping(session=SessionId(before)),))
        await rig.until(lambda: worker.session != before)
        second = await rig.send("wait")
        await rig.result(await rig.send("other"))
        await rig.until(lambda: len(begun) == 2)
        # The first run goes on, and beside it a second one of its message, which is handed over again; one id, one slot.
        assert rig.server.limits.holders("wait").all() == {first: worker.session}
        gates[0].set()
        await rig.until(lambda: worker.stale == 1)
        await rig.result(await rig.send("other"))
        assert rig.server.limits.holders("wait").all() == {first: worker.session}
        gates[1].set()
        await rig.result(first)
        await rig.result(second)
        await freed(rig)

    gated(rig, scenario)


def test_what_died_is_followed_by_whoever_waits():
    rig = Rig(pool="threads")
    rig.tasks.add(lambda: 1, "job", limits=(Concurrency(1),))

    async def scenario(worker):
        from leveret.model.limiting.gate import Entry, SlotBound
        from leveret.model.node import Session

        dead = Session(id=SessionId("dead"), node="gone", incarnation="1", pid=2)
        await rig.driver.leases().register(worker._parts.node, (dead,))
        entry = Entry(id="x", attempt=0, bounds=(SlotBound(key="job", slots=1),))
        await rig.driver.gate().enter(dead.id, (entry,))
        waiting = await rig.send("job")
        await asyncio.sleep(0.1)
        assert (await rig.backend.get([waiting]))[0] is None
        await rig.driver.leases().reap((Reaping(session=dead.id),))
        assert (await rig.result(waiting)).result == 1

    gated(rig, scenario)


def test_an_open_breaker_sends_the_fallback_and_then_closes():
    rig, down, calls = Rig(), [True], []

    def call(n):
        calls.append(n)
        if down[0]:
            raise OSError
        return n

    breaker = CircuitBreaker(failures=2, within=60.0, recover=0.3)
    rig.tasks.add(call, breaker=breaker, fallback=lambda n: -n)

    async def scenario(worker):
        for n in (1, 2):
            assert (await rig.result(await rig.send("call", n))).status == "FAILURE"
        await rig.until(lambda: (found := state(rig, "breaker")) is not None and found.state == "open")
        assert (await rig.result(await rig.send("call", 3))).result == -3
        down[0] = False
        await asyncio.sleep(0.35)
        assert (await rig.result(await rig.send("call", 4))).result == 4
        assert (await rig.result(await rig.send("call", 5))).result == 5

    gated(rig, scenario)
    assert calls == [1, 2, 4, 5]


def test_what_is_expected_does_not_open_a_breaker():
    rig = Rig()

    def call():
        raise KeyError

    rig.tasks.add(call, breaker=CircuitBreaker(failures=1), throws=(KeyError,))

    async def scenario(worker):
        for _ in range(3):
            assert (await rig.result(await rig.send("call"))).status == "FAILURE"

    gated(rig, scenario)


def test_retries_keep_to_their_budget_and_none_is_lost():
    rig, tries = Rig(), []
    policy = RetryPolicy(max_retries=1, autoretry_for=(OSError,), default_retry_delay=0.0, retry_jitter=False)

    def call(n):
        tries.append((time.time(), n))
        raise OSError

    rig.tasks.add(call, retry=policy, retry_budget=RetryBudget(share=0.0, per_second=20.0))

    async def scenario(worker):
        ids = [await rig.send("call", n) for n in range(60)]
        for id in ids:
            assert (await rig.result(id)).status == "FAILURE"

    gated(rig, scenario)
    assert len(tries) == 120
    seen: set[int] = set()
    again = [at for at, n in tries if n in seen or seen.add(n)]
    # A second's worth at once, then twenty a second.
    assert again[-1] - again[0] >= 1.8


def test_successes_are_told_once_a_retry_was_seen():
    rig, failing = Rig(), [True]
    policy = RetryPolicy(max_retries=3, autoretry_for=(OSError,), default_retry_delay=0.0, retry_jitter=False)

    def call():
        if failing:
            failing.pop()
            raise OSError

    rig.tasks.add(call, retry=policy, retry_budget=RetryBudget())

    async def scenario(worker):
        for _ in range(20):
            await rig.result(await rig.send("call"))

    gated(rig, scenario)
    from leveret.logic.limiting.pace import successes
    from leveret.logic.limiting.states import BudgetState

    found = rig.server.limits.state("budget", "call", BudgetState)
    assert found is not None
    assert successes(found, time.time()) >= 19


def test_a_superseded_message_ends_revoked():
    rig, ran = Rig(), []
    rig.tasks.add(lambda: ran.append(1), "job", unique=Unique(seconds=60.0, key=lambda: "k"))

    async def scenario(worker):
        rig.driver.keys().wish((Wish(key="job:k", id="other", seconds=60.0),), 30.0)
        id = await rig.send("job", settings={UNIQUE: "job:k"})
        found = await rig.result(id)
        assert found.status == "REVOKED"

    gated(rig, scenario)
    assert not ran


def test_a_key_function_that_raises_fails_its_task_and_no_other():
    rig = Rig()
    rig.tasks.add(lambda n: n, "job", limits=(Rate("1000/s", key=lambda n: 1 // n),))

    async def scenario(worker):
        bad, good = await rig.send("job", 0), await rig.send("job", 1)
        assert (await rig.result(good)).result == 1
        found = await rig.result(bad)
        assert found.status == "FAILURE"
        assert found.error is not None
        assert "of job raised ZeroDivisionError" in found.error.text

    gated(rig, scenario)


def test_a_store_that_does_not_answer_is_asked_until_it_does():
    rig, failures = Rig(), [3, 3]

    class Flaky:
        def __init__(self) -> None:
            self.right = rig.driver.gate()

        async def enter(self, *given: Any) -> Any:
            failures[0] -= 1
            if failures[0] >= 0:
                raise BrokerError("down")
            return await self.right.enter(*given)

        async def leave(self, *given: Any) -> None:
            failures[1] -= 1
            if failures[1] >= 0:
                raise BrokerError("down")
            await self.right.leave(*given)

    rig.tasks.add(lambda: 1, "job", limits=(Concurrency(1),))

    async def scenario(worker):
        assert (await rig.result(await rig.send("job"))).result == 1
        assert (await rig.result(await rig.send("job"))).result == 1
        await freed(rig)

    rig.run(scenario, gate=Flaky())


@pytest.mark.parametrize("with_gate", [True, False])
def test_rate_limits_hold_for_a_node_and_change_by_command(with_gate):
    rig, starts = Rig(options={"processes": 2}), []
    rig.tasks.add(lambda: starts.append(time.time()), "job", rate_limit="100/s")
    step = 0.01 if with_gate else 0.02

    async def scenario(worker):
        for id in [await rig.send("job") for _ in range(20)]:
            await rig.result(id)
        assert starts[-1] - starts[0] >= 18 * step
        starts.clear()
        worker.respondent.steer(Steering(rates={"job": "0"}))
        for id in [await rig.send("job") for _ in range(200)]:
            await rig.result(id)
        assert starts[-1] - starts[0] < 1.8, "at 100 a second it would be 2"
        starts.clear()
        worker.respondent.steer(Steering(rates={"job": "20/s"}))
        for id in [await rig.send("job") for _ in range(6)]:
            await rig.result(id)
        assert starts[-1] - starts[0] >= 5 * (0.05 if with_gate else 0.1) - 0.06

    rig.run(scenario, gate=rig.driver.gate() if with_gate else None)


def test_rate_limits_that_are_turned_off_cannot_be_turned_on_by_command():
    rig, starts = Rig(), []
    rig.tasks.add(lambda: starts.append(time.time()), "job")

    async def scenario(worker):
        worker.respondent.steer(Steering(rates={"job": "1/h"}))
        for id in [await rig.send("job") for _ in range(5)]:
            await rig.result(id)

    gated(rig, scenario, rate_limits=False)


def test_a_task_that_had_no_limit_gets_one_by_command():
    rig, starts = Rig(), []
    rig.tasks.add(lambda: starts.append(time.time()), "job")

    async def scenario(worker):
        worker.respondent.steer(Steering(rates={"job": "20/s"}))
        for id in [await rig.send("job") for _ in range(6)]:
            await rig.result(id)

    gated(rig, scenario)
    assert starts[-1] - starts[0] >= 0.2
