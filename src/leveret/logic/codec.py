"""Message <-> Celery's protocol v2 (`celery/app/amqp.py:as_task_v2`; v1 and hybrid bodies are read too).

Left out is what Celery reads the same as absent: `task` and `id` and an embed `{}` are a whole message. An explicit
`ignore_result` is not left out: Celery reads an absent one as "as the task says".

What the protocol has no field for travels in one header of ours, `leveret`, bound to (id, retries): a Celery worker's
retry copies it stale and its follow-ups drop it, so a mismatch means it says nothing about this message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from leveret.errors import ContentDisallowed, DecodeError, EncodeError, MessageTooLarge
from leveret.logic.compression import Compressions, pack
from leveret.logic.serializers import JSON, MSGPACK, YAML, Serializer, Serializers, dumps_call, dumps_json
from leveret.logic.wire.bodies import checked, from_v1
from leveret.logic.wire.jsontags import dress, is_plain, step
from leveret.logic.wire.members import MemberBodies, waits_only
from leveret.logic.wire.plain import PlainPostings, at_argument, too_large
from leveret.logic.wire.protocol import OUR_HEADER, RESERVED, embed_to_wire, read_embed, read_header_fields, to_iso
from leveret.logic.wire.reprs import short_repr
from leveret.logic.wire.steps import Steps, read_long, with_steps
from leveret.model.delivery import Encoded, Posting
from leveret.model.message import Message, TaskId, lane_of

KIB, MIB = 1024, 1024 * 1024
_NO_EMBED: dict[str, Any] = {}
_NAMES = 2
"""Headers that every message has: its task's name and its id."""
_SAFE_RESULTS = frozenset(serializer.content_type for serializer in (JSON, MSGPACK, YAML))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in bytes. A producer keeps the same limits as a consumer, so that what would be refused there fails at
    the call. Nesting is limited to 64 levels by the serializers themselves."""

    message_bytes: int = MIB
    """The body on the wire (`message_max_bytes`)."""
    header_bytes: int = 16 * KIB
    inflated_bytes: int = 8 * MIB
    inflated_ratio: int = 100
    result_bytes: int = MIB
    traceback_chars: int = 64 * KIB
    callbacks: int = 64

    def __post_init__(self) -> None:
        for name in ("message_bytes", "header_bytes", "inflated_bytes", "result_bytes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")

    def inflated_limit(self, compressed: int) -> int:
        """What `compressed` bytes may inflate to. The ratio binds only beyond the size any message may have."""
        largest = max(self.inflated_bytes, self.message_bytes)
        return min(largest, max(self.inflated_ratio * compressed, self.message_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFormat:
    """How results are written, and which are read."""

    serializer: str = "json"
    compression: str | None = None
    accept: tuple[str, ...] | None = None
    """None: what messages may be, and json, msgpack and yaml. The serializer itself is always read."""


AS_JSON = ResultFormat()


class Codec:
    """Immutable; made once by wiring. `accept` names serializers or content types.

    `shows_arguments`: every message has `argsrepr` and `kwargsrepr`, as Celery's have, which costs its sender 2-4 us
    and the broker their bytes.
    """

    def __init__(
        self,
        serializers: Serializers,
        compressions: Compressions,
        limits: Limits,
        *,
        accept: frozenset[str],
        results: ResultFormat = AS_JSON,
        shows_arguments: bool = False,
    ) -> None:
        self._serializers = serializers
        self._compressions = compressions
        self._members = MemberBodies()
        self.limits = limits
        self.accept = serializers.content_types(accept)
        self.shows_arguments = shows_arguments
        self.result_serializer = serializers.named(results.serializer)
        self._result_compression = None if results.compression is None else compressions.named(results.compression)
        readable = self.accept | _SAFE_RESULTS if results.accept is None else serializers.content_types(results.accept)
        self._readable = {one.content_type: one for one in serializers if one.content_type in readable}
        self._readable[self.result_serializer.content_type] = self.result_serializer
        self._accepted = {
            serializer.content_type: serializer for serializer in serializers if serializer.content_type in self.accept
        }

    # Writing

    def encode(self, message: Message) -> Encoded:
        """Raises `EncodeError` with the path of what cannot be written, `MessageTooLarge` beyond the limits."""
        serializer = self._serializers.named(message.serializer)
        kwargs: Any = message.kwargs
        if type(kwargs) is not dict:
            kwargs = dict(kwargs)
        try:
            if serializer is JSON and type(message.embed.chain) is Steps:
                embed = embed_to_wire(msgspec.structs.replace(message.embed, chain=()))
                body = with_steps(dumps_json([message.args, kwargs, embed]), message.embed.chain, alone=not embed)
            elif serializer is JSON and (chord := message.embed.chord) is not None and waits_only(message.embed):
                body = self._members.dumps(message.args, kwargs, chord)
            elif message.embed:
                body = serializer.dumps([message.args, kwargs, embed_to_wire(message.embed)])
            elif serializer is JSON:
                body = dumps_call(message.args, kwargs)
            else:
                body = serializer.dumps([message.args, kwargs, _NO_EMBED])
        except EncodeError as error:
            raise at_argument(error, message.task) from error
        headers = self._headers(message)
        if message.compression is not None:
            body, headers["compression"] = self._compress(body, message)
        if len(body) > self.limits.message_bytes:
            raise too_large(message.task, len(body), self.limits.message_bytes)
        return Encoded(headers, body, serializer.content_type, serializer.content_encoding, message.reply_to)

    def post(self, message: Message) -> Posting:
        """Encode for one queue; a derived id asks the broker to stop a second copy at the door."""
        return Posting(
            id=message.id,
            queue=message.queue,
            encoded=self.encode(message),
            attempt=message.attempt,
            exchange=message.exchange,
            routing_key=message.routing_key,
            priority=message.priority or 0,
            not_before=message.not_before,
            expires=message.expires,
            once=message.derived,
            begins=message.begins,
            adds=message.adds,
            lane=lane_of(message) if message.settings else "",
        )

    def plain(self, task: str, queue: str, *, ignored: bool) -> PlainPostings:
        """`post` in one step for calls of a task that go as json and have their arguments and nothing else."""
        json = self._serializers.named("json")
        return PlainPostings((task, queue), json, self.limits.message_bytes, ignored)

    def encode_value(self, value: object) -> bytes:
        """Write a result or a seat's value."""
        try:
            data = self.result_serializer.dumps(value)
        except EncodeError as error:
            raise EncodeError(f"result{error.path}: {error}", f"result{error.path}") from error
        if len(data) > self.limits.result_bytes:
            raise MessageTooLarge(
                f"the result has {len(data)} bytes, at most {self.limits.result_bytes} are allowed", "result"
            )
        return data

    def _headers(self, message: Message) -> dict[str, Any]:
        headers: dict[str, Any] = {"task": message.task, "id": message.id}
        if message.headers:
            self._add_own_headers(headers, message.headers)
        if message.attempt:
            headers["retries"] = message.attempt
        if message.not_before is not None:
            headers["eta"] = to_iso(message.not_before, "eta")
        if message.expires is not None:
            headers["expires"] = to_iso(message.expires, "expires")
        if message.time_limit is not None or message.soft_time_limit is not None:
            headers["timelimit"] = [message.time_limit, message.soft_time_limit]
        if message.ignore_result is not None:
            headers["ignore_result"] = message.ignore_result
        if message.root_id is not None and message.root_id != message.id:
            headers["root_id"] = message.root_id
        if message.parent_id is not None:
            headers["parent_id"] = message.parent_id
        if message.group is not None:
            headers["group"] = message.group
        if message.group_index is not None:
            headers["group_index"] = message.group_index
        if message.shadow is not None:
            headers["shadow"] = message.shadow
        if message.origin is not None:
            headers["origin"] = message.origin
        if self.shows_arguments or message.argsrepr is not None or message.kwargsrepr is not None:
            self._add_shown(headers, message)
        if message.replaced_task_nesting:
            headers["replaced_task_nesting"] = message.replaced_task_nesting
        if message.stamped_headers:
            headers["stamped_headers"] = list(message.stamped_headers)
            headers["stamps"] = _fit(message.stamps, "stamps")
        if message.derived or message.settings or message.priority is not None:
            headers[OUR_HEADER] = _our_header(message)
        return headers

    def _add_shown(self, headers: dict[str, Any], message: Message) -> None:
        """What monitors and Celery's workers show of the arguments: what the caller says, else their repr."""
        shows = self.shows_arguments
        for name, given, value in (
            ("argsrepr", message.argsrepr, message.args),
            ("kwargsrepr", message.kwargsrepr, message.kwargs),
        ):
            if given is not None:
                headers[name] = given
            elif shows:
                headers[name] = short_repr(value)

    def _add_own_headers(self, headers: dict[str, Any], own: Mapping[str, Any]) -> None:
        for name, value in own.items():
            if not isinstance(name, str):
                raise EncodeError(f"headers{step(name)}: a header's name must be a str", f"headers{step(name)}")
            if name in RESERVED:
                raise EncodeError(f"headers.{name}: the message itself has a header of that name", f"headers.{name}")
            headers[name] = _fit(value, f"headers{step(name)}")
        size = len(self._serializers.named("json").dumps(headers))
        if size > self.limits.header_bytes:
            raise MessageTooLarge(
                f"the headers have {size} bytes, at most {self.limits.header_bytes} are allowed", "headers"
            )

    def _compress(self, body: bytes, message: Message) -> tuple[bytes, str]:
        compression = self._compressions.named(message.compression or "")
        compressed = compression.compress(body)
        # The same bound the reader has: what it would refuse must fail here, at the call.
        limit = self.limits.inflated_limit(len(compressed))
        if len(body) > limit:
            raise too_large(message.task, len(body), limit)
        return compressed, compression.content_type

    # Reading

    def decode(self, encoded: Encoded, queue: str) -> Message:
        """Read whatever a peer sent. Raises `DecodeError` or `ContentDisallowed`, never anything else."""
        try:
            return self._decode(encoded, queue)
        except DecodeError:
            raise
        except Exception as error:  # hostile input must never be more than a dead letter
            raise DecodeError(f"cannot be read: {type(error).__name__}: {error}") from error

    def decode_value(self, data: bytes) -> object:
        """Read what `encode_value` wrote."""
        return self.result_serializer.loads(data)

    def pack_result(self, document: bytes) -> bytes:
        """Compress a result's document where `result_compression` asks for it."""
        compression = self._result_compression
        return document if compression is None else pack(document, compression)

    def unpack_result(self, data: bytes) -> bytes:
        """Undo `pack_result`, whichever compression it was."""
        # A document may carry arguments, a text for each and a traceback beside its value.
        return self._compressions.unpack(data, max(self.limits.inflated_bytes, 4 * self.limits.result_bytes))

    def result_reader(self, content_type: str) -> Serializer | None:
        """The serializer for results of that type; None where such results are not accepted."""
        return self._readable.get(content_type)

    def _decode(self, encoded: Encoded, queue: str) -> Message:
        # The order is the point: nothing is inflated or parsed that an earlier, cheaper check refuses.
        headers, data = encoded.headers, encoded.body
        if len(data) > self.limits.message_bytes:
            raise DecodeError(f"the body has {len(data)} bytes, at most {self.limits.message_bytes} are accepted")
        serializer = self._accepted.get(encoded.content_type)
        if serializer is None:
            raise self._disallowed(encoded.content_type)
        compression = headers.get("compression")
        if compression is not None:
            data = self._compressions.decompress(data, compression, self.limits.inflated_limit(len(data)))
        body = (read_long(data) if serializer is JSON else None) or serializer.loads(data)
        if type(body) is dict:
            headers, body = from_v1(headers, body)
        args, kwargs, embed = checked(body)
        task, task_id = _check_name(headers, "task"), _check_name(headers, "id")
        # Nothing but its names, or besides that its result is ignored: a plain call.
        ignored = len(headers) == _NAMES + 1 and headers.get("ignore_result") is True
        if (ignored or len(headers) == _NAMES) and not embed and serializer.name == "json":
            return Message(
                id=TaskId(task_id),
                task=task,
                args=tuple(args),
                kwargs=kwargs,
                queue=queue,
                ignore_result=True if ignored else None,
                reply_to=encoded.reply_to or None,
                priority=encoded.priority,
            )
        fields = read_header_fields(headers, self.limits.header_bytes)
        fields.setdefault("priority", encoded.priority)
        if embed:
            fields["embed"] = read_embed(embed, self.limits.callbacks)
        return Message(
            id=TaskId(task_id),
            task=task,
            args=tuple(args),
            kwargs=kwargs,
            queue=queue,
            reply_to=encoded.reply_to or None,
            serializer=serializer.name,
            compression=None if compression is None else self._compressions.named(compression).name,
            **fields,
        )

    def _disallowed(self, content_type: object) -> ContentDisallowed:
        known = self._serializers.for_content_type(content_type) if isinstance(content_type, str) else None
        name = f"{known.name} ({content_type})" if known else f"{content_type!r:.100}"
        return ContentDisallowed(f"content type {name} is not in accept_content")


def _our_header(message: Message) -> dict[str, Any]:
    facts: dict[str, Any] = {"v": 1, "id": message.id, "retries": message.attempt}
    if message.derived:
        facts["derived"] = True
    if message.settings:
        facts["settings"] = _fit(message.settings, "settings")
    if message.priority is not None:
        # Drivers keep it as a property of the message, which does not come back with every broker's delivery.
        facts["priority"] = message.priority
    return facts


def _fit(value: Any, path: str) -> Any:
    """A header value as plain data; tagged as in a json body where it is none."""
    if is_plain(value):
        return value
    try:
        return dress(dict(value) if isinstance(value, Mapping) else value)
    except Exception as error:
        raise EncodeError(f"{path}: cannot be serialised: {type(value).__qualname__}", path) from error


def _check_name(headers: Mapping[str, Any], field: str) -> str:
    value = headers.get(field)
    if type(value) is not str:
        raise DecodeError(f"{field}: missing" if value is None else f"{field}: expected a string")
    if not 0 < len(value) <= 255 or not value.isprintable():
        raise DecodeError(f"{field}: expected 1 to 255 printable characters")
    return value
