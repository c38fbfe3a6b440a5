"""Kombu's envelope (`kombu/transport/virtual/base.py`): one JSON text for each message.

What Celery reads the same as absent is left out. Beside kombu's fields stands one of ours, `leveret`: what happened to
the message so far. A Celery worker gives it back as it got it, and its own retries drop it.
"""

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from leveret.errors import EncodeError
from leveret.links.redis.names import Names, is_suspect, queue_of
from leveret.logic.wire.jsontags import is_plain
from leveret.model.delivery import Charge, Delivery, Encoded, Posting, Receipt

UNREADABLE = "application/x-leveret-unreadable"
"""The content type of what is no envelope; no serializer has it, so it becomes a dead letter as it came."""


class Past(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened to a message. `once`: its attempt, where a second copy is stopped at the door. `lane`: the one it
    was sent to."""

    once: int | None = None
    lane: str | None = None
    deliveries: int = 0
    charges: tuple[Charge, ...] = ()


NOTHING_HAPPENED = Past()


class Properties(Struct, frozen=True, omit_defaults=True):
    delivery_tag: str = ""
    delivery_info: dict[str, Any] | None = None
    priority: int | None = None
    reply_to: str | None = None
    correlation_id: str | None = None
    body_encoding: str | None = None
    timestamp: float | None = None
    """Unix time at which it was sent; kombu knows no such, and ours tell the age of a queue by it."""


class Place(Struct, frozen=True):
    """What a list's name says of all that lies in it."""

    queue: str
    suspect: bool

    @classmethod
    def of(cls, list: str) -> "Place":
        return cls(queue_of(list), is_suspect(list))


class Envelope(Struct, frozen=True, omit_defaults=True, gc=False):
    body: Any
    headers: dict[str, Any]
    properties: Properties
    content_type: str | None = msgspec.field(default=None, name="content-type")
    content_encoding: str | None = msgspec.field(default=None, name="content-encoding")
    leveret: Past | None = None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type {type(value).__name__}")


FEW = 2
"""Headers of a plain call, which need no look: its task and its id."""
_OF_IGNORED = frozenset(("task", "id", "ignore_result"))
"""Those of one whose result is ignored."""
_BODY = b'{"body":"'
"""What each envelope of ours begins with."""
_ENCODE = msgspec.json.Encoder(enc_hook=_plain).encode
_DECODE: Callable[[bytes], Envelope] = msgspec.json.Decoder(Envelope).decode


def write(posting: Posting, priority: int, sent: float) -> bytes:
    """The envelope of a posting; `priority` is the wire's, `sent` a unix time. Raises `EncodeError` for headers that
    are no JSON."""
    encoded = posting.encoded
    if encoded.content_type == UNREADABLE:
        return encoded.body
    queue = posting.queue
    envelope = Envelope(
        encoded.body,
        encoded.headers,  # type: ignore[arg-type] # any Mapping is written
        Properties(
            # Kombu's key of a hand-over: no two messages in one queue have the same.
            f"{posting.id}.{posting.attempt}.{queue}",
            {"exchange": posting.exchange, "routing_key": posting.routing_key or queue},
            priority or None,
            encoded.reply_to,
            posting.id,
            "base64",
            sent,
        ),
        encoded.content_type,
        encoded.content_encoding,
        Past(once=posting.attempt if posting.once else None, lane=posting.lane or None)
        if posting.once or posting.lane
        else None,
    )
    if len(encoded.headers) > FEW and not is_plain(encoded.headers):
        return _write_plainly(envelope)
    try:
        return _ENCODE(envelope)
    except (TypeError, ValueError, OverflowError):
        return _write_plainly(envelope)


_of_posting = attrgetter("attempt", "exchange", "routing_key", "once")
_of_encoded = attrgetter("content_type", "content_encoding", "reply_to")


class Form(NamedTuple):
    """What the envelopes of one task's plain calls have in common: the text around body and id."""

    headers: int
    ignored: Any
    like: tuple[Any, ...]
    before_id: bytes
    before_tag: bytes
    before_key: bytes
    end: bytes

    @classmethod
    def of(cls, posting: Posting, priority: int, sent: float) -> "Form | None":
        """None where more than body and id may differ."""
        encoded = posting.encoded
        headers = encoded.headers
        if posting.once or posting.lane or encoded.content_type == UNREADABLE:
            return None
        if len(headers) > FEW and headers.keys() != _OF_IGNORED:
            return None
        marked = replace(encoded, headers={**headers, "id": _MARK}, body=b"")
        text = write(replace(posting, id=_MARK, encoded=marked), priority, sent)
        pieces = text.removeprefix(_BODY).split(_MARK.encode())
        if len(pieces) != _PIECES:
            return None
        like = (_of_posting(posting), _of_encoded(encoded))
        return cls(len(headers), headers.get("ignore_result"), like, *pieces)


_MARK = "00000000-0000-7000-8000-leveret-mark"
"""Stands for an id, which an envelope has in three places; whatever has it somewhere else, too, has no form."""
_PIECES = 4


class Forms:
    """Writes the envelopes of messages that go to one list, sent at one moment, as `write` does. Plain calls of one
    task differ in body and id alone: the rest is written once, and the others take half of the time."""

    __slots__ = ("_by_task", "_priority", "_sent")

    def __init__(self, priority: int, sent: float) -> None:
        self._priority, self._sent = priority, sent
        self._by_task: dict[Any, Form | None] = {}

    def write(self, posting: Posting) -> bytes:
        """The envelope of one; raises as `write` does."""
        encoded, called = posting.encoded, posting.id
        headers = encoded.headers
        task = headers.get("task")
        form = self._by_task.get(task)
        if form is None:
            if task not in self._by_task:
                self._by_task[task] = Form.of(posting, self._priority, self._sent)
            return write(posting, self._priority, self._sent)
        count, ignored, like, before_id, before_tag, before_key, end = form
        if (
            len(headers) == count
            and headers.get("id") == called
            and headers.get("ignore_result") is ignored
            and like == (_of_posting(posting), _of_encoded(encoded))
        ):
            try:
                name = _ENCODE(called)[1:-1]
            except UnicodeEncodeError:
                return write(posting, self._priority, self._sent)
            body = b2a_base64(encoded.body, newline=False)
            return b"".join((_BODY, body, before_id, name, before_tag, name, before_key, name, end))
        return write(posting, self._priority, self._sent)


def _write_plainly(envelope: Envelope) -> bytes:
    """What msgspec does not write (NaN, integers of any size, lone surrogates) as Python's own json does."""
    try:
        return json.dumps(msgspec.to_builtins(envelope, enc_hook=_plain)).encode()
    except (TypeError, ValueError, OverflowError) as error:
        raise EncodeError(f"a header cannot be stored: {error}") from error


def read(raw: bytes) -> Envelope | None:
    """None for what is no envelope."""
    if (strictly := _read_strictly(raw)) is not None:
        return strictly
    try:
        envelope: Envelope = msgspec.convert(json.loads(raw), Envelope)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return envelope


def deliver(raw: bytes, receipt: Receipt, place: Place, names: Names) -> Delivery:
    """One hand-over of a message as it lay in its list."""
    envelope = read(raw)
    if envelope is None or envelope.leveret is None:
        past, count = NOTHING_HAPPENED, 1
    else:
        past = envelope.leveret
        count = past.deliveries + 1
    return Delivery(
        receipt=receipt,
        queue=place.queue,
        encoded=encoded(envelope, raw, names),
        count=count,
        redelivered=envelope is not None and _redelivered(envelope),
        charges=past.charges,
        suspect=place.suspect,
    )


def delivered(posting: Posting, receipt: Receipt, names: Names) -> Delivery:
    """As `deliver` of what `write` makes of a posting."""
    wire = names.on_wire(posting.priority)
    priority = names.from_wire(wire) if wire else None
    return Delivery(
        receipt=receipt, queue=posting.queue, encoded=msgspec.structs.replace(posting.encoded, priority=priority)
    )


def encoded(envelope: Envelope | None, raw: bytes, names: Names) -> Encoded:
    """What is in an envelope; what is none travels as it came, and nobody can read it."""
    if envelope is None:
        return Encoded({}, raw, UNREADABLE, "binary")
    properties = envelope.properties
    body = _body(envelope.body, properties.body_encoding)
    if body is None:
        return Encoded({}, raw, UNREADABLE, "binary")
    return Encoded(
        envelope.headers,
        body,
        envelope.content_type or "application/json",
        envelope.content_encoding or "utf-8",
        properties.reply_to,
        None if properties.priority is None else names.from_wire(properties.priority),
    )


def _redelivered(envelope: Envelope) -> bool:
    return "redelivered" in envelope.headers or "redelivered" in (envelope.properties.delivery_info or ())


def _body(body: Any, encoding: str | None) -> bytes | None:
    if type(body) is not str:
        return None
    try:
        return a2b_base64(body, strict_mode=True) if encoding == "base64" else body.encode()
    except ValueError:
        return None


def once(raw: bytes) -> tuple[str, int] | None:
    """The id and attempt of a message that stands at the door."""
    # As we write it the body comes first, has no quotes, and is nearly all of a long chain's message: it is left out.
    end = raw.find(b'"', len(_BODY)) if raw.startswith(_BODY) else 0
    if b'"once":' not in raw[end:]:
        return None
    envelope = (_read_strictly(_BODY + raw[end:]) if end > 0 else None) or read(raw)
    past = None if envelope is None else envelope.leveret
    if envelope is None or past is None or past.once is None:
        return None
    return str(envelope.headers.get("id")), past.once


LONG = 4_000
"""Bytes from which on it is worth leaving out a body."""


def _read_strictly(raw: bytes) -> Envelope | None:
    try:
        return _DECODE(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def lane(raw: bytes) -> str:
    """The lane it was sent to, or ""."""
    envelope = read(raw) if b'"lane":' in raw else None
    past = None if envelope is None else envelope.leveret
    return (None if past is None else past.lane) or ""


def priority(raw: bytes) -> int:
    """As it is on the wire."""
    envelope = read(raw)
    return (None if envelope is None else envelope.properties.priority) or 0


def changed(raw: bytes, *, counted: bool = False, charge: Charge | None = None) -> bytes:
    """The message after it was handed over: counted, charged. Celery's workers are told in kombu's words."""
    envelope = _loose(raw) if counted or charge is not None else None
    if envelope is None:
        return raw
    past = envelope.setdefault("leveret", {})
    if counted:
        past["deliveries"] = past.get("deliveries", 0) + 1
        (envelope["properties"].get("delivery_info") or {})["redelivered"] = True
    if charge is not None:
        past["charges"] = [*past.get("charges", ()), msgspec.to_builtins(charge)]
    return json.dumps(envelope).encode()


def anew(raw: bytes) -> bytes:
    """The message without its past, for another life."""
    envelope = _loose(raw)
    if envelope is None:
        return raw
    past = envelope.pop("leveret", {})
    if kept := {name: past[name] for name in ("once", "lane") if name in past}:
        envelope["leveret"] = kept
    (envelope["properties"].get("delivery_info") or {}).pop("redelivered", None)
    return json.dumps(envelope).encode()


def _loose(raw: bytes) -> dict[str, Any] | None:
    """An envelope with all that is in it, whoever wrote it; None for what is no envelope."""
    if read(raw) is None:
        return None
    envelope: dict[str, Any] = json.loads(raw)
    if envelope.get("leveret") is None:
        envelope.pop("leveret", None)
    return envelope
