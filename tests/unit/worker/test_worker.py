import asyncio
import threading
import time

import msgspec
import pytest
from tests.unit.worker.rig import CODEC, NODE, SESSION, Rig

from leveret.errors import Cancel, Ignore, Reject, Retry, Snooze, SoftTimeLimitExceeded
from leveret.model.delivery import Claim, SessionId
from leveret.model.message import Embed, Message, TaskId
from leveret.model.node import Reaping
from leveret.model.outcome import Retried
from leveret.model.request import CURRENT
from leveret.model.signature import SignatureSpec
from leveret.model.task import RetryPolicy

POOLS = ("prefork", "threads", "asyncio")


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("fused", [True, False])
def test_runs_tasks_and_stores_their_results(pool, fused):
    rig = Rig(pool=pool, fused=fused)
    rig.tasks.add(lambda a, b: a + b, "add")

    async def scenario(worker):
        ids = [await rig.send("add", n, 1) for n in range(300)]
        return [(await rig.result(id)).result for id in ids]

    assert rig.run(scenario) == list(range(1, 301))
    assert rig.sessions == ["s1"] and rig.drained == [""]


@pytest.mark.parametrize("pool", POOLS)
def test_coroutine_functions_share_one_loop_for_the_whole_life(pool):
    rig = Rig(pool=pool)
    loops = set()

    async def look(x):
        loops.add(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.001)
        return (CURRENT.get().id, x)

    rig.tasks.add(look)

    async def scenario(worker):
        ids = [await rig.send("look", n) for n in range(5)]
        assert [(await rig.result(id)).result for id in ids] == [[id, n] for n, id in enumerate(ids)]

    rig.run(scenario)
    assert len(loops) == 1


def test_failure_retry_and_link_follow_their_rules():
    rig = Rig()
    seen = []

    def flaky(x):
        seen.append(CURRENT.get().retries)
        if len(seen) < 3:
            raise KeyError(x)
        return x

    rig.tasks.add(flaky, retry=RetryPolicy(autoretry_for=(KeyError,), default_retry_delay=0.0))
    rig.tasks.add(lambda value, y: value + y, "plus")
    rig.tasks.add(lambda: 1 / 0, "bad")
    rig.tasks.add(lambda id: id, "tell")

    async def scenario(worker):
        embed = Embed(
            callbacks=(SignatureSpec(task="plus", args=(1,), options={"task_id": "linked"}),),
            chain=(
                SignatureSpec(task="plus", args=(100,), options={"task_id": "last"}),
                SignatureSpec(task="plus", args=(10,), options={"task_id": "next"}),
            ),
        )
        id = await rig.send("flaky", 5, embed=embed)
        assert (await rig.result(id)).result == 5
        assert (await rig.result("linked")).result == 6
        assert (await rig.result("next")).result == 15
        assert (await rig.result("last")).result == 115
        embed = Embed(errbacks=(SignatureSpec(task="tell", options={"task_id": "told"}),))
        bad = await rig.send("bad", embed=embed)
        meta = await rig.result(bad)
        assert (meta.status, meta.error.type) == ("FAILURE", "ZeroDivisionError")
        assert "1 / 0" in meta.traceback and "runner.py" not in meta.traceback
        assert (await rig.result("told")).result == bad

    rig.run(scenario)
    assert seen == [0, 1, 2]


def test_the_words_a_task_can_raise():
    rig = Rig()
    snoozes = []

    def say(word):
        if word == "ignore":
            raise Ignore()
        if word == "reject":
            raise Reject("no", requeue=False)
        if word == "cancel":
            raise Cancel("enough")
        if word == "snooze":
            snoozes.append(CURRENT.get().retries)
            if len(snoozes) == 1:
                raise Snooze(0.01)
        if word == "exit":
            raise SystemExit(3)
        if word == "retry" and CURRENT.get().retries == 0:
            error = Retry("again")
            error.outcome = Retried(delay=0.0, args=("other",))
            raise error
        return word

    rig.tasks.add(say)

    async def scenario(worker):
        ignored = await rig.send("say", "ignore")
        assert (await rig.result(await rig.send("say", "cancel"))).status == "REVOKED"
        assert (await rig.result(await rig.send("say", "snooze"))).result == "snooze"
        assert (await rig.result(await rig.send("say", "retry"))).result == "other"
        assert (await rig.result(await rig.send("say", "exit"))).error.type == "SystemExit"
        assert (await rig.result(await rig.send("say", "reject"))).error.type == "Reject"
        assert (await rig.backend.get([ignored])) == (None,)
        (dead,) = await rig.driver.admin().dead()
        assert dead.reason == "rejected: no"

    rig.run(scenario)
    assert snoozes == [0, 0]


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", ["plain", "coroutine"])
def test_soft_limit_is_raised_inside_the_task(pool, kind):
    rig = Rig(pool=pool)

    def plain():
        try:
            for _ in range(2000):
                time.sleep(0.01)
        except SoftTimeLimitExceeded:
            return "cleaned up"

    async def coroutine():
        try:
            await asyncio.sleep(20)
        except SoftTimeLimitExceeded:
            await asyncio.sleep(0.01)
            return "cleaned up"

    rig.tasks.add(plain if kind == "plain" else coroutine, "slow", soft_time_limit=0.1)
    rig.tasks.add(lambda: "fine", "quick")

    async def scenario(worker):
        slow, quick = await rig.send("slow"), await rig.send("quick")
        assert (await rig.result(slow)).result == "cleaned up"
        assert (await rig.result(quick)).result == "fine"

    rig.run(scenario)


def test_hard_limit_is_settled_by_the_io_thread_and_ends_the_worker():
    rig = Rig(pool="threads")
    release = threading.Event()
    rig.tasks.add(lambda: release.wait(20), "stuck", time_limit=0.1)
    rig.tasks.add(lambda: 1, "other")

    async def scenario(worker):
        stuck = await rig.send("stuck")
        other = await rig.send("other")
        meta = await rig.result(stuck)
        assert (meta.status, meta.error.type, meta.error.args) == ("FAILURE", "TimeLimitExceeded", (0.1,))
        await rig.until(lambda: rig.drained)
        assert rig.drained == ["hard time limit"]
        # What had not begun is back in the queue, uncharged and uncounted.
        (back,) = await rig.broker.claim(Claim(session=SessionId("s2"), queues=("default",), credit=5, number=0))
        assert (CODEC.decode(back.encoded, "default").id, back.count) == (other, 1)
        release.set()

    async def with_second_session(worker):
        await rig.driver.leases().register(NODE, (msgspec.structs.replace(SESSION, id=SessionId("s2")),))
        await scenario(worker)

    rig.run(with_second_session)


@pytest.mark.parametrize("pool", ["threads", "asyncio"])
def test_hard_limit_asks_a_neighboured_job_first(pool):
    rig = Rig(pool=pool, slots=2)

    def plain():
        for _ in range(2000):
            time.sleep(0.01)

    rig.tasks.add(plain, "slow", time_limit=0.1)

    async def scenario(worker):
        meta = await rig.result(await rig.send("slow"))
        assert (meta.error.type, meta.error.args) == ("TimeLimitExceeded", (0.1,))
        assert not rig.drained

    rig.run(scenario)


def test_what_waits_behind_a_long_job_goes_back_after_50_ms():
    rig = Rig(pool="threads")
    release = threading.Event()
    rig.tasks.add(lambda: None, "short")
    rig.tasks.add(lambda: release.wait(20), "long")

    async def scenario(worker):
        for _ in range(100):
            await rig.result(await rig.send("short"))
        await rig.send("long")
        for _ in range(10):
            await rig.send("short")
        await rig.claimed(ready=10, claimed=1)
        release.set()

    rig.run(scenario)


def test_at_most_once_is_acknowledged_when_the_run_starts():
    rig = Rig(pool="threads")
    order, gate = [], threading.Event()

    def once(n):
        gate.wait(10)
        order.append(n)
        return n

    rig.tasks.add(once, acks_late=False)
    rig.tasks.add(lambda n: order.append(n), "late")

    async def scenario(worker):
        first = await rig.send("once", 1)
        await rig.send("late", 2)
        third = await rig.send("once", 3)
        # The first one runs and is acknowledged: only the others stand in the broker.
        await rig.claimed(ready=2, claimed=0)
        gate.set()
        assert (await rig.result(first)).result == 1
        assert (await rig.result(third)).result == 3

    rig.run(scenario)
    assert order == [1, 2, 3]


def test_unknown_tasks_rest_and_undecodable_messages_are_dead_letters():
    rig = Rig()
    rig.tasks.add(lambda: 1, "known")

    async def scenario(worker):
        await rig.send("unknown")
        posting = CODEC.post(Message(id="x", task="known"))
        broken = msgspec.structs.replace(posting, encoded=msgspec.structs.replace(posting.encoded, body=b"{"))
        await rig.broker.publish((broken,))
        dead = await rig.until(rig.driver.admin().dead)
        assert dead[0].reason.startswith("undecodable: ")
        assert (await rig.result("x")).error.type == "DecodeError"
        (counts,) = await rig.driver.admin().counts(("default",))
        assert counts.delayed == 1

    rig.run(scenario)


def test_a_step_of_a_long_chain_that_cannot_be_read_fails_the_task_before_it_and_harms_nobody_else():
    rig = Rig()
    ran = []
    rig.tasks.add(ran.append, "note")

    async def scenario(worker):
        for key, expires in (("in time", None), ("too late", 1.0)):
            posting = CODEC.post(Message(id=TaskId(key), task="note", args=(key,), expires=expires))
            body = b'[["%s"],{},{"chain":[{"task":"%s"},{"task":7}]}]' % (key.encode(), b"x" * 3000)
            encoded = msgspec.structs.replace(posting.encoded, body=body)
            await rig.broker.publish((msgspec.structs.replace(posting, encoded=encoded),))
        assert (await rig.result("in time")).error.type == "DecodeError"
        dead = await rig.until(rig.driver.admin().dead)
        assert [letter.id for letter in dead] == ["too late"]
        assert (await rig.result(await rig.send("note", "after"))).error is None

    rig.run(scenario)
    assert ran == ["in time", "after"]


def test_a_reaped_session_is_registered_anew():
    rig = Rig(pool="threads")
    gate = threading.Event()
    rig.tasks.add(lambda: gate.wait(10), "wait")

    async def scenario(worker):
        first = await rig.send("wait")
        await rig.claimed(ready=0, claimed=1)
        await rig.driver.leases().reap((Reaping(session=SESSION.id),))
        gate.set()
        # Its first run's settlement is stale; the message is claimed again and settled by the new session.
        assert (await rig.result(first)).result is True
        assert worker.stale == 1

    rig.run(scenario)
    assert len(rig.sessions) == 2 and rig.sessions[0] != rig.sessions[1]


def test_burst_ends_when_nothing_is_left_follow_ups_included():
    rig = Rig(options={"burst": True})
    ran = []
    rig.tasks.add(ran.append, "note")

    async def scenario(worker):
        await rig.until(lambda: rig.drained)

    async def prepare():
        for n in range(20):
            embed = Embed(callbacks=(SignatureSpec(task="note", args=("linked",), immutable=True),))
            await rig.send("note", n, embed=embed)

    asyncio.run(prepare())
    rig.run(scenario)
    assert sorted(map(str, ran)) == sorted([*map(str, range(20)), *["linked"] * 20])
    assert rig.drained == ["burst"]


def test_max_tasks_per_child_ends_after_exactly_that_many():
    rig = Rig(options={"max_tasks_per_child": 7})
    ran = []
    rig.tasks.add(ran.append, "note")

    async def prepare():
        for n in range(20):
            await rig.send("note", n)

    asyncio.run(prepare())

    async def scenario(worker):
        await rig.until(lambda: rig.drained)
        (counts,) = await rig.driver.admin().counts(("default",))
        assert (counts.ready, counts.claimed) == (13, 0)

    rig.run(scenario)
    assert ran == list(range(7))
    assert rig.drained == ["max tasks per child"]


def test_max_memory_per_child_ends_after_the_task_that_went_beyond_it():
    rig = Rig(options={"max_memory_per_child": 1000})
    resident = 2000

    def grow(size):
        nonlocal resident
        resident = size

    rig.tasks.add(grow)

    async def scenario(worker):
        # What a process holds before its first task is no reason: its successor would hold as much.
        await rig.result(await rig.send("grow", 900))
        await rig.result(await rig.send("grow", 1000))
        assert not rig.drained
        await rig.result(await rig.send("grow", 1001))
        await rig.until(lambda: rig.drained)

    rig.run(scenario, resident=lambda: resident)
    assert rig.drained == ["max memory per child"]


def test_abandon_gives_back_what_runs():
    rig = Rig(pool="threads")
    gate = threading.Event()
    rig.tasks.add(lambda: gate.wait(10), "wait")

    async def scenario(worker):
        await rig.send("wait")
        await rig.claimed(ready=0, claimed=1)
        worker.abandon()
        await rig.until(lambda: rig.drained)
        (counts,) = await rig.driver.admin().counts(("default",))
        assert (counts.ready, counts.claimed) == (1, 0)
        gate.set()

    rig.run(scenario)


def test_a_plain_ignored_task_leaves_nothing():
    rig = Rig()
    done = threading.Event()
    rig.tasks.add(done.set, "note", ignore_result=True)

    async def scenario(worker):
        id = await rig.send("note")
        await rig.until(done.is_set)
        await rig.claimed(ready=0, claimed=0)
        assert await rig.backend.get([id]) == (None,)

    rig.run(scenario)


def test_at_most_once_survives_what_asks_for_another_run():
    rig = Rig()
    runs = []

    def wavering(error):
        runs.append(error)
        if len(runs) % 2:
            raise Snooze(0.01) if error == "snooze" else Reject("again", requeue=True)
        return error

    rig.tasks.add(wavering, acks_late=False)

    async def scenario(worker):
        for word in ("snooze", "reject"):
            assert (await rig.result(await rig.send("wavering", word))).result == word

    rig.run(scenario)
    assert runs == ["snooze", "snooze", "reject", "reject"]


def test_at_most_once_is_not_lost_between_its_acknowledgement_and_its_run():
    rig = Rig(pool="asyncio", slots=2)
    blocked = threading.Event()

    async def block():
        blocked.set()
        time.sleep(0.3)  # noqa: ASYNC251 - a coroutine that holds up its loop is what this is about

    async def once():
        return 1

    rig.tasks.add(block)
    rig.tasks.add(once, acks_late=False)

    async def scenario(worker):
        await rig.send("block")
        await asyncio.to_thread(blocked.wait, 5)
        assert (await rig.result(await rig.send("once"))).result == 1

    rig.run(scenario)


@pytest.mark.parametrize("why", ["hard time limit", "max tasks per child"])
def test_a_process_that_claims_no_more_says_so_while_its_neighbours_run(why):
    rig = Rig(slots=3, options={"max_tasks_per_child": 2 if why == "max tasks per child" else None})
    gate = threading.Event()

    rig.tasks.add(lambda: gate.wait(10) and 1, "neighbour")
    rig.tasks.add(lambda: gate.wait(10), "endless", time_limit=0.1)

    async def scenario(worker):
        neighbour = await rig.send("neighbour")
        await rig.send("endless" if why == "hard time limit" else "neighbour")
        await rig.until(lambda: rig.leaving)
        assert not rig.drained
        gate.set()
        assert (await rig.result(neighbour)).result == 1

    rig.run(scenario)
    assert rig.leaving == [why] == rig.drained


def test_alone_in_its_process_a_task_leaves_no_slot_empty_beside_it():
    rig = Rig(slots=1, options={"max_tasks_per_child": 1})
    rig.tasks.add(lambda: time.sleep(1.2), "long")

    async def scenario(worker):
        await rig.result(await rig.send("long"))
        await rig.until(lambda: rig.drained)

    rig.run(scenario)
    assert rig.leaving == []
