"""`app.events`: the receiver and what it hands over; `State` knows what Celery's would from the same events."""

import asyncio
import random
import threading
import time

import celery.events.state
import msgspec
import pytest

from leveret import Leveret
from leveret.client.events.state import State
from leveret.model.telling.event import Parcel

KINDS = ["sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected", "custom"]
COMPARED = [*(name for name in KINDS if name != "custom"), *("name", "args", "state", "timestamp", "result", "runtime")]


def story(seed: int) -> list[dict]:
    """Events as they may come: in any order, of few tasks and workers."""
    dice = random.Random(seed)
    now = time.time()
    events = []
    for number in range(300):
        host = f"w{dice.randrange(3)}@h"
        head = {"hostname": host, "pid": 1, "utcoffset": 0, "clock": number, "timestamp": now + number / 1000}
        head["local_received"] = now
        if dice.random() < 0.2:
            kind = dice.choice(["online", "heartbeat", "heartbeat", "offline"])
            events.append({**head, "type": f"worker-{kind}", "freq": 2.0, "active": 1, "processed": number})
            continue
        kind = dice.choice(KINDS)
        task = dice.randrange(8)
        event = {**head, "type": f"task-{kind}", "uuid": f"t{task}"}
        if kind in ("sent", "received"):
            event |= {"name": f"name{task % 3}", "args": f"({number},)", "parent_id": f"t{dice.randrange(8)}"}
        if kind == "succeeded":
            event |= {"result": str(number), "runtime": 0.1}
        events.append(event)
    dice.shuffle(events)
    return events


@pytest.mark.parametrize("seed", range(20))
def test_state_is_celerys_state(seed: int) -> None:
    room = 6 if seed % 2 else 50
    ours, theirs = State(max_tasks_in_memory=room), celery.events.state.State(max_tasks_in_memory=room)

    for event in story(seed):
        ours.event(dict(event))
        theirs.event(dict(event))

    whole = len(theirs.tasks) < room
    assert (ours.event_count, ours.task_count, ours.task_types()) == (
        theirs.event_count,
        theirs.task_count,
        theirs.task_types(),
    )
    assert list(ours.tasks) == list(theirs.tasks) and sorted(ours.workers) == sorted(theirs.workers)
    # Of what was forgotten Celery's holds on to some until the collector comes.
    for uuid, task in theirs.tasks.items() if whole else ():
        mine = ours.tasks[uuid]
        assert {name: getattr(mine, name) for name in COMPARED} == {name: getattr(task, name) for name in COMPARED}
        assert getattr(mine.worker, "hostname", None) == getattr(task.worker, "hostname", None)
        assert {child.uuid for child in mine.children} == {child.uuid for child in task.children}
    assert {w.hostname for w in ours.alive_workers()} == {w.hostname for w in theirs.alive_workers()}
    if whole:
        assert named(ours.tasks_by_time()) == named(theirs.tasks_by_time())
        for name in theirs.task_types():
            assert named(ours.tasks_by_type(name)) == named(theirs.tasks_by_type(name))


def named(tasks) -> list[str]:
    return [uuid for uuid, _ in tasks]


@pytest.fixture
def app():
    app = Leveret("watched", broker="memory://watched", set_as_current=False)
    keep = app.client
    yield app
    keep.close()


def test_receiver_hands_each_event_to_its_handler(app) -> None:
    got, rest = [], []

    def send() -> None:
        time.sleep(0.2)
        with app.events.default_dispatcher(hostname="me@here") as dispatcher:
            dispatcher.send("custom-thing", number=1)
            dispatcher.send("custom-other", number=2)

    threading.Thread(target=send).start()
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"custom-thing": got.append, "*": rest.append})
        receiver.capture(limit=2, timeout=5, wakeup=True)

    assert (got[0]["number"], got[0]["hostname"], rest[0]["number"]) == (1, "me@here", 2)
    assert {"timestamp", "local_received", "clock", "pid", "utcoffset"} <= got[0].keys()


def test_silence_is_a_timeout_and_a_handler_may_stop_it(app) -> None:
    with app.connection() as connection:
        with pytest.raises(TimeoutError):
            app.events.Receiver(connection).capture(timeout=0.05)
        receiver = app.events.Receiver(
            connection, handlers={"a-b": lambda event: setattr(receiver, "should_stop", True)}
        )
        timer = threading.Timer(0.2, lambda: app.events.Dispatcher().send("a-b"))
        timer.start()
        receiver.capture(timeout=5)


def test_capture_inside_a_loop_names_the_way_for_loops(app) -> None:
    async def main() -> None:
        with pytest.raises(RuntimeError, match="acapture"):
            app.events.Receiver().capture()

    asyncio.run(main())


def test_what_is_no_event_is_passed_over(app) -> None:
    got = []
    receiver = app.events.Receiver(handlers={"*": got.append})
    for body in (b"nonsense", b"[1, null, {}]", b'"text"', b'{"type": 5}', b'[{"type": "x-y"}, 3]'):
        receiver.receive(Parcel("x", body))
    assert [event["type"] for event in got] == ["x-y"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_sending_is_told_where_it_is_asked_for(asynchronous: bool) -> None:
    app = Leveret("telling", broker="memory://telling", task_send_sent_event=True, set_as_current=False)

    @app.task(name="t.add")
    def add(a, b):
        return a + b

    async def main() -> dict:
        feed = await app.client.parts.connect().events.watch("task.sent")
        result = await add.adelay(1, 2) if asynchronous else add.delay(1, 2)
        (parcel,) = await asyncio.wait_for(feed.receive(), 5)
        event = msgspec.json.decode(parcel.body)
        assert event["uuid"] == result.id
        return event

    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        event = asyncio.run(main())
    assert (event["type"], event["name"], event["args"], event["queue"]) == ("task-sent", "t.add", "(1, 2)", "default")
    assert event["hostname"].startswith("gen")


def test_connection_shows_where_it_leads_and_whether_it_answers(app, tmp_path) -> None:
    with app.connection() as connection:
        assert connection.as_uri() == "memory://watched"
        assert connection.ensure_connection(max_retries=1).connected
    away = app.connection("redis://:secret@127.0.0.1:1/0")
    assert "secret" not in away.as_uri()
    with pytest.raises(Exception, match="127.0.0.1:1"):
        away.ensure_connection(max_retries=1)
