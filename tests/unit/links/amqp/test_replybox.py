import json
import os
import pickle
import threading
from itertools import count
from typing import Any

import msgspec
import pytest
from pamqp import commands

from leveret.errors import OperationalError
from leveret.links.amqp import replybox
from leveret.links.amqp.protocol.errors import ChannelClosed
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.protocol.properties import Properties, read_properties, write_properties
from leveret.links.amqp.replybox import ReplyBox, ReplyQueueMoved, over, read_reply, reply
from leveret.model.message import TaskId
from leveret.model.settlement import Record


@pytest.fixture
def box() -> ReplyBox:
    numbers = count(1)
    return ReplyBox(lambda: f"n{next(numbers)}", None)


def record(name: str = "1", state: str = "SUCCESS", **fields: Any) -> Record:
    fields = {"attempt": 0, "meta": b"{}", **fields}
    return Record(id=TaskId(name), state=state, terminal=state in ("SUCCESS", "FAILURE", "REVOKED"), **fields)


def delivered(found: Record) -> Delivered:
    letter = reply(found, persistent=False)
    return Delivered(1, "replies", 1, False, "", letter.routing_key, letter.properties, letter.body)


def raw(body: bytes, **properties: Any) -> Delivered:
    return Delivered(1, "replies", 1, False, "", "q", write_properties(Properties(**properties)), body)


# The queue


def test_the_queue_is_named_once_and_bounded(box: ReplyBox) -> None:
    steps = box.declare()
    method = steps.send(None)

    assert isinstance(method, commands.Queue.Declare)
    assert (method.queue, method.durable, method.auto_delete, method.exclusive) == (
        "leveret.reply.n1",
        True,
        False,
        False,
    )
    assert method.arguments == {"x-expires": 300_000, "x-max-length": 100_000, "x-overflow": "drop-head"}
    assert box.name == box.name == "leveret.reply.n1"


@pytest.mark.parametrize(("expires", "milliseconds"), [(86_400.0, 86_400_000), (0.0001, 1)])
def test_results_expire_as_the_settings_say(expires: float, milliseconds: int) -> None:
    method = ReplyBox(lambda: "n", expires).declare().send(None)

    assert method.arguments["x-message-ttl"] == milliseconds


def test_a_refused_queue_is_the_brokers_error(box: ReplyBox) -> None:
    steps = box.declare()
    steps.send(None)

    with pytest.raises(OperationalError, match="403"):
        steps.send(ChannelClosed(403, "ACCESS_REFUSED"))


def test_a_queue_whose_node_is_down_is_left_for_another(box: ReplyBox) -> None:
    name = box.name
    steps = box.declare()
    steps.send(None)

    with pytest.raises(ReplyQueueMoved):
        steps.send(ChannelClosed(404, f"NOT_FOUND - home node 'b@c' of durable queue '{name}' is down or inaccessible"))
    assert box.name != name


# What came in


def test_what_came_is_found_by_its_id(box: ReplyBox) -> None:
    box.take(delivered(record("1", meta=b'{"status":"SUCCESS"}')))

    found, none = box.look(["1", "2"])

    assert found is not None and (found.id, found.state, found.meta, found.terminal) == (
        "1", "SUCCESS", b'{"status":"SUCCESS"}', True,
    )  # fmt: skip
    assert none is None


def test_an_end_stands_and_what_is_no_end_gives_way(box: ReplyBox) -> None:
    for state in ("STARTED", "RETRY", "SUCCESS", "STARTED", "FAILURE"):
        box.take(delivered(record("1", state)))
    box.keep([record("1", "PROGRESS")])

    (found,) = box.look(["1"])

    assert found is not None and found.state == "SUCCESS"


def test_only_so_many_are_kept_the_newest(box: ReplyBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replybox, "MOST_KEPT", 3)

    for number in range(4):
        box.take(delivered(record(str(number))))
    box.keep([record("4"), record("5")])

    assert [found and found.id for found in box.look(list("012345"))] == [None, None, None, "3", "4", "5"]


def test_what_is_forgotten_is_gone(box: ReplyBox) -> None:
    box.keep([record("1"), record("2")])

    box.forget(["1", "3"])

    assert [found and found.id for found in box.look(["1", "2"])] == [None, "2"]


def test_everybody_who_listens_is_rung(box: ReplyBox) -> None:
    rung: list[str] = []
    box.listen(lambda: rung.append("a"))
    other = lambda: rung.append("b")  # noqa: E731
    box.listen(other)

    box.take(delivered(record("1")))
    box.unlisten(other)
    box.take(delivered(record("2")))

    assert sorted(rung) == ["a", "a", "b"]


def test_a_listener_may_leave_while_it_is_rung(box: ReplyBox) -> None:
    def leave() -> None:
        box.unlisten(leave)

    box.listen(leave)

    box.ring()
    box.ring()


def test_a_wait_ends_with_news_or_with_an_end() -> None:
    started, done = record("1", "STARTED"), record("1")

    assert not over((None,), (None,))
    assert not over((started,), (started,))
    assert over((started,), (None,))
    assert over((done,), (done,))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_box_of_its_own_even_where_the_lock_was_held(box: ReplyBox) -> None:
    box.keep([record("1")])
    name = box.name
    box.faces = 2
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with box._guard:
            held.set()
            go.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    child = os.fork()
    if child == 0:
        box.keep([record("2")])
        box.ring()
        box.forget(["3"])
        good = box.name != name and box.look(["1", "2"])[0] is None and box.look(["2"])[0] and box.faces == 0
        os._exit(0 if good else 1)
    go.set()
    thread.join()

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (box.name, box.faces) == (name, 2)


# Reading


def test_our_own_answers_come_back_as_they_were() -> None:
    sent = record("1", "RETRY", attempt=2, meta=b"\x81", content_type="application/x-msgpack", reply_to="box")
    letter = reply(sent, persistent=True)

    assert (letter.exchange, letter.routing_key, letter.mandatory, letter.queue) == ("", "box", False, "")
    assert read_properties(letter.properties).delivery_mode == 2
    assert read_reply(delivered(sent)) == msgspec.structs.replace(sent, reply_to=None)


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "STARTED"])
@pytest.mark.parametrize("kind", ["application/json", "application/x-msgpack"])
def test_celerys_answers_are_read(state: str, kind: str) -> None:
    document = {"task_id": "1", "status": state, "result": [1], "traceback": None, "children": []}
    body = json.dumps(document).encode() if kind.endswith("json") else msgspec.msgpack.encode(document)

    for properties in ({"correlation_id": "1"}, {}):
        found = read_reply(raw(body, content_type=kind, **properties))
        assert found is not None
        assert (found.id, found.state, found.terminal, found.meta) == ("1", state, state != "STARTED", body)


@pytest.mark.parametrize(("state", "terminal"), [("FAILURE", True), ("STARTED", False)])
def test_a_pickled_document_tells_its_state_without_being_unpickled(state: str, terminal: bool) -> None:
    document = pickle.dumps({"task_id": "1", "status": state, "result": None}, protocol=4)

    found = read_reply(raw(document, content_type="application/x-python-serialize", correlation_id="1"))

    assert found is not None and (found.id, found.state, found.terminal) == ("1", state, terminal)


@pytest.mark.parametrize(
    "message",
    [
        Delivered(1, "replies", 1, False, "", "q", b"\xff\xff", b"{}"),
        raw(b"no json", content_type="application/json", correlation_id="1"),
        raw(b'{"status": 5}', content_type="application/json", correlation_id="1"),
        raw(b"{}", content_type="application/json"),
        raw(b"\x80\x04.", content_type="application/x-python-serialize", correlation_id="1"),
        raw(b"[" * 100_000, content_type="application/json", correlation_id="1"),
    ],
)
def test_what_is_no_answer_is_nobodys(box: ReplyBox, message: Delivered) -> None:
    box.take(message)

    assert read_reply(message) is None
    assert box.look(["1"]) == (None,)
