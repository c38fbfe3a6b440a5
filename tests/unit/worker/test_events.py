"""What a worker tells watchers: every end of a task, nothing while it is off, nothing that waits for a broker."""

import asyncio
import time

import msgspec
import pytest
from tests.unit.worker.rig import Rig

from leveret.errors import OperationalError, Reject, Retry
from leveret.model.outcome import Retried
from leveret.worker.telling import emitter as module


async def heard(feed, ends, timeout=10.0):
    events = []
    async with asyncio.timeout(timeout):
        while not ends <= {event["type"] for event in events}:
            for parcel in await feed.receive():
                body = msgspec.json.decode(parcel.body)
                events += body if isinstance(body, list) else [body]
    return events


def fail():
    raise ValueError("no")


def again():
    error = Retry()
    error.outcome = Retried(delay=60)
    raise error


def reject():
    raise Reject("mine not")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_every_end_is_told_in_order(pool):
    rig = Rig(pool=pool, options={"task_events": True})
    for task in (fail, again, reject):
        rig.tasks.add(task)
    rig.tasks.add(lambda a: a * 2, "double")

    async def scenario(worker):
        feed = await rig.driver.events().watch("task.#")
        id = await rig.send("double", 21)
        for name in ("fail", "again", "reject"):
            await rig.send(name)
        await rig.send("double", 1, expires=1.0)
        ends = {"task-succeeded", "task-failed", "task-retried", "task-rejected", "task-revoked"}
        return id, await heard(feed, ends)

    id, events = rig.run(scenario, events=rig.driver.events())

    mine = [event for event in events if event["uuid"] == id]
    assert [event["type"] for event in mine] == ["task-received", "task-started", "task-succeeded"]
    assert mine[0]["name"] == "double" and mine[0]["args"] == "(21,)" and mine[2]["result"] == "42"
    assert [event["clock"] for event in mine] == sorted(event["clock"] for event in mine)


def test_a_long_run_is_told_to_have_started_while_it_runs():
    rig = Rig(options={"task_events": True})
    rig.tasks.add(lambda: time.sleep(1.0), "slow")

    async def scenario(worker):
        feed = await rig.driver.events().watch("#")
        before = time.monotonic()
        await rig.send("slow")
        await heard(feed, {"task-started"})
        assert time.monotonic() - before < 0.8
        rest = await heard(feed, {"task-succeeded"})
        return [event["type"] for event in rest]

    assert rig.run(scenario, events=rig.driver.events()) == ["task-succeeded"]


def test_off_until_told_and_off_again():
    rig = Rig()
    rig.tasks.add(lambda: None, "nothing")

    async def scenario(worker):
        feed = await rig.driver.events().watch("#")
        await rig.result(await rig.send("nothing"))
        worker.send_events(True)
        second = await rig.send("nothing")
        events = await heard(feed, {"task-succeeded"})
        worker.send_events(False)
        await rig.result(await rig.send("nothing"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(feed.receive(), 0.2)
        return second, events

    second, events = rig.run(scenario, events=rig.driver.events())
    assert {event["uuid"] for event in events} == {second}


class NoBroker:
    """A bus whose broker answers nobody."""

    def __init__(self, hangs):
        self.hangs, self.tried = hangs, 0

    async def send(self, parcels):
        self.tried += 1
        if self.hangs:
            await asyncio.sleep(60)
        raise OperationalError("away")


@pytest.mark.parametrize("hangs", [False, True])
def test_tasks_go_on_when_no_event_can_be_sent(hangs, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 100)
    monkeypatch.setattr(module, "SEND_SECONDS", 0.3)
    rig = Rig(options={"task_events": True})
    rig.tasks.add(lambda n: n, "same")
    bus = NoBroker(hangs)

    async def scenario(worker):
        ids = [await rig.send("same", n) for n in range(200)]
        values = [(await rig.result(id)).result for id in ids]
        assert len(worker._emitter._events) <= 100
        return values

    assert rig.run(scenario, events=bus) == list(range(200))
    assert bus.tried >= 1
