"""Commands and answers as kombu's pidbox writes them (`kombu/pidbox.py`), and as it reads them."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from leveret.errors import DecodeError, EncodeError
from leveret.model.remote.command import Answer, Command, Parcel

JSON = "application/json"
LARGEST = 1 << 20
"""Bytes of a command or an answer; whoever may write to the broker may write anything."""


def exchange_of(namespace: str) -> str:
    """The fanout exchange that commands go to; `namespace` is `control_exchange`."""
    return f"{namespace}.pidbox"


def reply_exchange_of(namespace: str) -> str:
    """The direct exchange that answers go to."""
    return f"reply.{namespace}.pidbox"


def reply_queue_of(namespace: str, address: str) -> str:
    """Where somebody who asks collects the answers; `address` is its routing key."""
    return f"{address}.{reply_exchange_of(namespace)}"


class _Body(Struct):
    method: str
    arguments: dict[str, Any] | None = None
    destination: list[str] | None = None
    pattern: str | None = None
    matcher: str | None = None
    ticket: str | None = None
    reply_to: dict[str, Any] | None = None


_BODY: Callable[[bytes], _Body] = msgspec.json.Decoder(_Body).decode


def write_command(command: Command, namespace: str) -> Parcel:
    """Raises `EncodeError` for arguments that JSON does not carry."""
    body: dict[str, Any] = {
        "method": command.method,
        "arguments": dict(command.arguments),
        "destination": None if command.destination is None else list(command.destination),
        "pattern": command.pattern,
        "matcher": command.matcher,
    }
    if command.ticket:
        body["ticket"] = command.ticket
        body["reply_to"] = {"exchange": reply_exchange_of(namespace), "routing_key": command.reply_to}
    return Parcel(body=_dumped(body), headers={"clock": command.clock, "expires": command.expires})


def read_command(parcel: Parcel, namespace: str) -> Command:
    """Raises `DecodeError`. An answer goes to the exchange of answers or nowhere: a command must not choose among all
    the exchanges of a broker."""
    _check(parcel)
    try:
        body = _BODY(parcel.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DecodeError(f"no command: {error}") from error
    reply = body.reply_to or {}
    key = reply.get("routing_key")
    answered = reply.get("exchange") == reply_exchange_of(namespace) and isinstance(key, str)
    return Command(
        method=body.method,
        arguments=body.arguments or {},
        destination=tuple(body.destination) if body.destination else None,
        pattern=body.pattern,
        matcher=body.matcher,
        ticket=(body.ticket or "") if answered else "",
        reply_to=str(key) if answered else "",
        expires=_number(parcel.headers, "expires"),
        clock=int(_number(parcel.headers, "clock")),
    )


def write_answer(answer: Answer) -> Parcel:
    return Parcel(body=_dumped({answer.node: answer.value}), headers={"ticket": answer.ticket, "clock": answer.clock})


def read_answer(parcel: Parcel) -> Answer:
    """Raises `DecodeError`."""
    _check(parcel)
    try:
        # Python's own reader: Celery's writer leaves NaN and what msgspec does not know.
        read = json.loads(parcel.body)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"no answer: {error}") from error
    if not isinstance(read, dict) or len(read) != 1:
        raise DecodeError("an answer names one node")
    ((node, value),) = read.items()
    ticket = parcel.headers.get("ticket")
    return Answer(node=node, value=value, ticket=str(ticket or ""), clock=int(_number(parcel.headers, "clock")))


def _check(parcel: Parcel) -> None:
    if len(parcel.body) > LARGEST:
        raise DecodeError(f"{len(parcel.body)} bytes, at most {LARGEST}")
    if parcel.content_type != JSON:
        raise DecodeError(f"content type {parcel.content_type!r}, only {JSON} is read here")


def _number(headers: Mapping[str, Any], name: str) -> float:
    value = headers.get(name)
    return float(value) if isinstance(value, int | float) and value == value else 0.0


def _dumped(value: Any) -> bytes:
    try:
        return json.dumps(value, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EncodeError(f"a command's arguments and answers must be JSON: {error}") from error


def _plain(value: Any) -> Any:
    """What is no JSON: containers as lists, the rest as text."""
    return list(value) if isinstance(value, set | frozenset | tuple) else str(value)
