"""The fields of Celery's protocol v2: its header table and the embed, each read with its name in every complaint."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from leveret.errors import DecodeError, EncodeError
from leveret.logic.serializers import dumps_json
from leveret.logic.wire.jsontags import undress
from leveret.logic.wire.signatures import signature_from_wire, signature_to_wire
from leveret.logic.wire.steps import Steps
from leveret.model.message import Embed
from leveret.model.signature import SignatureSpec

OUR_HEADER = "leveret"

MOST_SHOWN = 1_024
"""Characters of `argsrepr` and `kwargsrepr`, as Celery cuts them."""

_DROPPED = frozenset(
    # Facts about the sender or an earlier delivery: they must not travel on with a retry.
    ("lang", "meth", "utc", "redelivered", "compression", "task", "id", "taskset")
)
_DROPPED_PREFIXES = ("x-death", "x-first-death", "x-last-death", "x-delivery-count", "x-acquired-count")


def to_iso(moment: float, field: str) -> str:
    """Write unix seconds as ISO-8601 in UTC."""
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat()
    except (ValueError, OverflowError, OSError) as error:
        raise EncodeError(f"{field}: {moment!r} is no moment a calendar has", field) from error


def from_iso(value: Any, field: str) -> float:
    """Read ISO-8601 as unix seconds; naive means UTC, as with Celery."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise DecodeError(f"{field}: {value!r:.100} is no ISO-8601 time") from error
    if not isinstance(value, datetime):
        raise DecodeError(f"{field}: expected an ISO-8601 time, got {type(value).__name__}")
    try:
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()
    except OverflowError as error:
        raise DecodeError(f"{field}: {value} is out of range") from error


# Header fields


def read_header_fields(headers: Mapping[str, Any], most_bytes: int) -> dict[str, Any]:
    """The `Message` fields a header table holds, `task` and `id` excepted; null is the same as absent."""
    fields: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, value in headers.items():
        if value is None or name in _DROPPED:
            continue
        read = _READERS.get(name)
        if read is not None:
            read(fields, value)
        elif name == OUR_HEADER:
            continue
        elif isinstance(name, str) and not name.startswith(_DROPPED_PREFIXES):
            own[name] = undress(value)
    if OUR_HEADER in headers:
        _read_our_header(fields, headers)
    if own:
        if _size(own) > most_bytes:
            raise DecodeError(f"headers: more than {most_bytes} bytes")
        fields["headers"] = own
    return fields


def _size(own: Mapping[str, Any]) -> int:
    try:
        return len(dumps_json(own))
    except EncodeError:
        # A driver with richer header tables than JSON; its own frame limit has bounded them.
        return 0


_Reader = Callable[[dict[str, Any], Any], None]


def _text(header: str, field: str) -> _Reader:
    def read(fields: dict[str, Any], value: Any) -> None:
        if type(value) is not str:
            raise DecodeError(f"{header}: expected a string, got {type(value).__name__}")
        fields[field] = value

    return read


def _shown(name: str) -> _Reader:
    """Losing it is no reason to lose the message."""

    def read(fields: dict[str, Any], value: Any) -> None:
        if type(value) is str:
            fields[name] = value[:MOST_SHOWN]

    return read


def _whole(header: str, field: str) -> _Reader:
    def read(fields: dict[str, Any], value: Any) -> None:
        if type(value) is not int or not 0 <= value < 2**31:
            raise DecodeError(f"{header}: expected a whole number from 0, got {value!r:.100}")
        fields[field] = value

    return read


def _moment(header: str, field: str) -> _Reader:
    def read(fields: dict[str, Any], value: Any) -> None:
        fields[field] = from_iso(value, header)

    return read


def _read_ignore_result(fields: dict[str, Any], value: Any) -> None:
    if type(value) is not bool:
        raise DecodeError(f"ignore_result: expected true or false, got {type(value).__name__}")
    fields["ignore_result"] = value


def _read_timelimit(fields: dict[str, Any], value: Any) -> None:
    # [hard, soft]: Celery's documentation says it the other way round, its code does this.
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise DecodeError("timelimit: expected [hard, soft]")
    for name, limit in zip(("time_limit", "soft_time_limit"), value, strict=True):
        if limit is None:
            continue
        # `<` is also what refuses NaN.
        if type(limit) not in (int, float) or not 0 <= limit < 1e10:
            raise DecodeError(f"timelimit: expected seconds, got {limit!r:.100}")
        fields[name] = limit


def _read_stamped_headers(fields: dict[str, Any], value: Any) -> None:
    if not isinstance(value, list | tuple | set | frozenset) or not all(type(name) is str for name in value):
        raise DecodeError("stamped_headers: expected a list of names")
    fields["stamped_headers"] = tuple(value)


def _read_stamps(fields: dict[str, Any], value: Any) -> None:
    if type(value) is not dict:
        raise DecodeError(f"stamps: expected an object, got {type(value).__name__}")
    if value:
        fields["stamps"] = undress(value)


_READERS: Mapping[str, _Reader] = {
    "retries": _whole("retries", "attempt"),
    "eta": _moment("eta", "not_before"),
    "expires": _moment("expires", "expires"),
    "timelimit": _read_timelimit,
    "ignore_result": _read_ignore_result,
    "root_id": _text("root_id", "root_id"),
    "parent_id": _text("parent_id", "parent_id"),
    "group": _text("group", "group"),
    "group_index": _whole("group_index", "group_index"),
    "shadow": _text("shadow", "shadow"),
    "origin": _text("origin", "origin"),
    "argsrepr": _shown("argsrepr"),
    "kwargsrepr": _shown("kwargsrepr"),
    "replaced_task_nesting": _whole("replaced_task_nesting", "replaced_task_nesting"),
    "stamped_headers": _read_stamped_headers,
    "stamps": _read_stamps,
}

RESERVED = frozenset((*_READERS, *_DROPPED, OUR_HEADER))
"""Header names a sender's own headers cannot have."""


def _read_our_header(fields: dict[str, Any], headers: Mapping[str, Any]) -> None:
    """Take what our header says if it speaks of this very message; never fail over it."""
    facts = headers[OUR_HEADER]
    if not isinstance(facts, Mapping) or facts.get("v") != 1:
        return
    if (facts.get("id"), facts.get("retries")) != (headers.get("id"), fields.get("attempt", 0)):
        return
    if facts.get("derived") is True:
        fields["derived"] = True
    if type(facts.get("settings")) is dict:
        fields["settings"] = undress(facts["settings"])
    if type(facts.get("priority")) is int:
        fields["priority"] = facts["priority"]


# Embed


def embed_to_wire(embed: Embed) -> dict[str, Any]:
    """Only what there is: Celery reads an absent key as null."""
    wire: dict[str, Any] = {}
    if embed.callbacks:
        wire["callbacks"] = [signature_to_wire(spec) for spec in embed.callbacks]
    if embed.errbacks:
        wire["errbacks"] = [signature_to_wire(spec) for spec in embed.errbacks]
    if embed.chain:
        wire["chain"] = [signature_to_wire(spec) for spec in embed.chain]
    if embed.chord is not None:
        wire["chord"] = signature_to_wire(embed.chord)
    return wire


def read_embed(embed: Mapping[str, Any], most_callbacks: int) -> Embed:
    chord = embed.get("chord")
    return Embed(
        callbacks=tuple(_read_signatures(embed, "callbacks", most_callbacks)),
        errbacks=tuple(_read_signatures(embed, "errbacks", most_callbacks)),
        # A chain may be long: it is bounded by the message's own size.
        chain=_read_signatures(embed, "chain", None),
        chord=None if chord is None else signature_from_wire(chord, "chord"),
    )


def _read_signatures(embed: Mapping[str, Any], field: str, limit: int | None) -> Sequence[SignatureSpec]:
    found = embed.get(field)
    if found is None:
        return ()
    if type(found) is Steps:
        return found
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list | tuple):
        raise DecodeError(f"embed.{field}: expected a list, got {type(found).__name__}")
    if limit is not None and len(found) > limit:
        raise DecodeError(f"embed.{field}: {len(found)} signatures, at most {limit}")
    try:
        return tuple(map(signature_from_wire, found))
    except DecodeError:
        # Once more with each one's place, for the complaint.
        return tuple(signature_from_wire(item, f"{field}[{index}]") for index, item in enumerate(found))
