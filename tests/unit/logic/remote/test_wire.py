"""Commands and answers as kombu writes and reads them."""

import json

import pytest

from leveret.errors import DecodeError, EncodeError
from leveret.logic.remote.wire import LARGEST, read_answer, read_command, write_answer, write_command
from leveret.model.remote.command import Answer, Command, Parcel


def test_a_command_is_written_as_kombu_writes_it() -> None:
    command = Command(
        method="revoke",
        arguments={"task_id": ["a"]},
        destination=("w@x",),
        ticket="t",
        reply_to="me",
        expires=2.5,
        clock=3,
    )

    parcel = write_command(command, "celery")

    assert json.loads(parcel.body) == {
        "method": "revoke",
        "arguments": {"task_id": ["a"]},
        "destination": ["w@x"],
        "pattern": None,
        "matcher": None,
        "ticket": "t",
        "reply_to": {"exchange": "reply.celery.pidbox", "routing_key": "me"},
    }
    assert parcel.headers == {"clock": 3, "expires": 2.5}
    assert read_command(parcel, "celery") == command


def test_an_answer_goes_to_the_exchange_of_answers_or_nowhere() -> None:
    body = {"method": "ping", "arguments": {}, "ticket": "t", "reply_to": {"exchange": "", "routing_key": "celery"}}

    command = read_command(Parcel(body=json.dumps(body).encode()), "celery")

    assert (command.ticket, command.reply_to) == ("", "")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"method": 1}', b'{"method": "ping", "arguments": []}', b"\xff", b"x" * (LARGEST + 1)]
)
def test_what_is_no_command_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        read_command(Parcel(body=body), "celery")


def test_another_serializer_is_not_read() -> None:
    parcel = Parcel(body=b'{"method": "ping"}', content_type="application/x-python-serialize")

    with pytest.raises(DecodeError, match="content type"):
        read_command(parcel, "celery")


def test_an_answer_names_its_node_and_carries_the_ticket() -> None:
    answer = Answer(node="w@x", value={"ok": ("pong", {1})}, ticket="t", clock=9)

    parcel = write_answer(answer)

    assert json.loads(parcel.body) == {"w@x": {"ok": ["pong", [1]]}}
    assert read_answer(parcel) == Answer(node="w@x", value={"ok": ["pong", [1]]}, ticket="t", clock=9)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"a": 1, "b": 2}', b"[" * 100_000])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(DecodeError):
        read_answer(Parcel(body=body))


def test_arguments_that_json_does_not_carry_are_written_as_text() -> None:
    parcel = write_command(Command(method="x", arguments={"a": object}), "celery")

    assert read_command(parcel, "celery").arguments["a"].startswith("<class")
    with pytest.raises(EncodeError):
        write_command(Command(method="x", arguments={"a": {(1, 2): 3}}), "celery")
