"""What a member leaves in the join of its chord: Celery's `[1, id, state, result]` in the result serializer.

It is the same in every store; in Redis Celery's workers write and read them too
(`celery/backends/redis.py:on_chord_part_return`).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from leveret.logic.codec import Codec
from leveret.logic.results import read_error
from leveret.logic.serializers import JSON, dumps_json
from leveret.model.outcome import ErrorInfo
from leveret.model.state import EXCEPTION_STATES


class Part(NamedTuple):
    """Of a member that ended without a value, `error` says why."""

    id: str
    value: Any
    error: ErrorInfo | None = None


def write_part(codec: Codec, id: str, state: str, encoded: bytes) -> bytes:
    """`encoded` is the value, or the error as a result document has it, as `codec.encode_value` wrote it."""
    if codec.result_serializer is JSON:
        written = b'[1,%b,"%b",%b]' % (dumps_json(id), state.encode(), encoded)
    else:
        written = codec.result_serializer.dumps([1, id, state, codec.decode_value(encoded)])
    return codec.pack_result(written)


def read_part(codec: Codec, data: bytes) -> Part:
    """Raises `DecodeError` and ValueError for what is none."""
    _, name, state, value = codec.result_serializer.loads(codec.unpack_result(data))
    if state not in EXCEPTION_STATES:
        return Part(name, value)
    unreadable = ErrorInfo(type="TaskError", module="leveret.errors", args=(state,), text=state)
    return Part(name, None, read_error(value, "") or unreadable)


def raised(id: str, error: ErrorInfo) -> str:
    """What a `ChordError` says of the member that is to blame."""
    return f"Dependency {id} raised {error.type}({', '.join(map(repr, error.args))})"


def shaped(codec: Codec, shape: bytes, parts: Sequence[Part]) -> list[Any]:
    """The values that a body gets, in the header's order. `shape` is what Celery's client stores of a header that has
    groups at the ends of chains, whose values then are lists: `{"result": [[id, parent], members or None]}`. It knows
    nothing of members that were added since: they come last."""
    flat = [part.value for part in parts]
    if not shape:
        return flat
    values = {part.id: part.value for part in parts}
    left = dict(values)

    def nested(node: Any) -> Any:
        (name, _), members = node
        if members is not None:
            return [nested(member) for member in members]
        left.pop(name, None)
        return values[name]

    try:
        found = nested(codec.result_serializer.loads(codec.unpack_result(shape))["result"])
    except KeyError:  # of members that are none of these
        return flat
    return [*found, *left.values()] if isinstance(found, list) else flat
