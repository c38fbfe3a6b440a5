"""Celery's result document, and exceptions as data and back.

`{"status", "result", "traceback", "children", "date_done", "task_id"}`, then what there is of the extended fields; an
exception is `{"exc_type", "exc_message", "exc_module"}` in `result` (`celery/backends/base.py`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import floor
from typing import Any, TypedDict, Unpack

from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.json import Encoder

from leveret.errors import ContentDisallowed, DecodeError, EncodeError, RemoteError
from leveret.logic.codec import Codec
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.serializers import JSON, MSGPACK, YAML, Serializer, dumps_json
from leveret.logic.wire.classes import loaded_class, name_of
from leveret.logic.wire.jsontags import is_plain
from leveret.logic.wire.reprs import safe_repr
from leveret.model.message import Message
from leveret.model.outcome import ErrorInfo
from leveret.model.settlement import Record
from leveret.model.state import EXCEPTION_STATES, SUCCESS

TRACEBACK_CHARS = 64 * 1024


class ResultMeta(Struct, frozen=True, kw_only=True):
    """A result document read. Of a FAILURE, RETRY or REVOKED, `error` is what was raised and `result` is None."""

    task_id: str
    status: str
    result: Any = None
    """The value of a SUCCESS; what `update_state` was given for states of the user's own."""
    error: ErrorInfo | None = None
    traceback: str | None = None
    children: tuple[Any, ...] = ()
    """Each as Celery's `as_tuple`: `[[id, parent or None], children or None]`."""
    date_done: datetime | None = None
    name: str | None = None
    args: Any = None
    kwargs: Any = None
    worker: str | None = None
    retries: int | None = None
    queue: str | None = None
    group_id: str | None = None
    parent_id: str | None = None
    max_retries: int | None = None
    """Of a RETRY."""
    runtime: float | None = None
    """Seconds; with `result_extended`."""
    stamps: Mapping[str, Any] = {}
    """Of a REVOKED."""
    revoked_by: str | None = None
    """`user@host`, where whoever revoked it wrote its outcome himself."""


class MetaFields(TypedDict, total=False):
    """What may go into a result document besides id, status and value; None is left out of the extended fields."""

    error: ErrorInfo | None
    traceback: str | None
    children: tuple[Any, ...]
    date_done: float | None
    """Unix seconds; a state that is not the end has none."""
    name: str | None
    args: Any
    kwargs: Any
    worker: str | None
    retries: int | None
    queue: str | None
    group_id: str | None
    parent_id: str | None
    max_retries: int | None
    runtime: float | None
    stamps: Mapping[str, Any] | None
    revoked_by: str | None


# Writing


class _Success(Struct):
    """The commonest document in Celery's field order; the value is spliced in as it was encoded."""

    status: str
    result: Raw
    traceback: None
    children: tuple[Any, ...]
    date_done: str
    task_id: str
    group_id: str | UnsetType = UNSET
    parent_id: str | UnsetType = UNSET


_encode = Encoder().encode


def write_success(codec: Codec, message: Message, encoded: bytes, now: float, **extra: Unpack[MetaFields]) -> bytes:
    """The document of a SUCCESS. `encoded` is the value as `codec.encode_value` wrote it, `now` unix seconds."""
    if codec.result_serializer is JSON and (not extra or extra.keys() == _CHILDREN):
        document = _encode(
            _Success(
                SUCCESS,
                Raw(encoded),
                None,
                extra["children"] if extra else (),
                _iso(now),
                message.id,
                UNSET if message.group is None else message.group,
                UNSET if message.parent_id is None else message.parent_id,
            )
        )
        return codec.pack_result(document)
    fields: MetaFields = {"date_done": now, "group_id": message.group, "parent_id": message.parent_id}
    fields.update(extra)
    return write_meta(codec, id=message.id, status=SUCCESS, result=codec.decode_value(encoded), **fields)


@lru_cache(maxsize=8)  # what ends together is of one moment
def _iso(moment: float) -> str:
    """ISO-8601 with microseconds, as `datetime.isoformat` has it."""
    second = floor(moment)
    micros = int((moment - second) * 1e6)
    return f"{_iso_second(second)}.{micros:06d}+00:00"


@lru_cache(maxsize=8)
def _iso_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


_CHILDREN = frozenset(("children",))
_EXTENDED = ("group_id", "parent_id", "name", "args", "kwargs", "worker", "retries", "queue")
_OURS_ALONE = ("max_retries", "runtime", "stamps", "revoked_by")
"""Fields that Celery's documents do not have, for `explain`."""


def write_meta(codec: Codec, *, id: str, status: str, result: Any = None, **fields: Unpack[MetaFields]) -> bytes:
    """The document of any state, as the codec's result serializer writes it. Raises `EncodeError` for the value only:
    arguments that cannot be written are kept as text."""
    error, done = fields.get("error"), fields.get("date_done")
    document = {
        "status": status,
        "result": result if error is None else error_to_wire(error),
        "traceback": fields.get("traceback") or (error.traceback if error is not None else None) or None,
        "children": fields.get("children", ()),
        "date_done": None if done is None else _iso(done),
        "task_id": id,
    }
    table: Mapping[str, Any] = fields
    document |= {name: table[name] for name in (*_EXTENDED, *_OURS_ALONE) if table.get(name) is not None}
    try:
        written = codec.result_serializer.dumps(document)
    except EncodeError:
        for name in ("args", "kwargs"):
            if name in document:
                document[name] = safe_repr(document[name])
        written = codec.result_serializer.dumps(document)
    return codec.pack_result(written)


def error_to_wire(error: ErrorInfo) -> dict[str, Any]:
    # Of our own errors, those that Celery has too travel as Celery's: its readers look for the class in that module.
    module = "celery.exceptions" if error.module == _OURS and error.type in SHARED_ERRORS else error.module
    return {"exc_type": error.type, "exc_message": list(error.args), "exc_module": module}


def error_info(exception: BaseException, traceback_text: str = "") -> ErrorInfo:
    """An exception as data. Arguments the json serializer cannot carry become their repr."""
    module, name = name_of(type(exception))
    try:
        text = str(exception)
    except Exception as broken:  # user code: an exception whose __str__ raises must not hide itself
        text = f"<{name} whose str() raises {type(broken).__qualname__}>"
    return ErrorInfo(
        type=name,
        module=module,
        args=tuple(_carriable(argument) for argument in exception.args),
        text=text,
        traceback=shorten(traceback_text),
    )


def _carriable(argument: Any) -> Any:
    if is_plain(argument):
        return argument
    try:
        dumps_json(argument)
    except EncodeError:
        return safe_repr(argument)
    return argument


def shorten(text: str, limit: int = TRACEBACK_CHARS) -> str:
    """Cut the middle out of a traceback that is too long: both ends are worth reading."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


# Reading

_SAFE: Mapping[str, Serializer] = {serializer.content_type: serializer for serializer in (JSON, MSGPACK, YAML)}
_COMPRESSIONS = Compressions(builtin_compressions())
_INFLATED_BYTES = 64 * 1024 * 1024


def read_meta(record: Record, codec: Codec | None = None) -> ResultMeta:
    """Read a record's document, also one Celery wrote. Raises `DecodeError`.

    The codec says what is accepted: pickle only where the app allows it by name.
    """
    if not record.meta:
        return ResultMeta(task_id=record.id, status=record.state)
    serializer = _SAFE.get(record.content_type) if codec is None else codec.result_reader(record.content_type)
    if serializer is None:
        raise ContentDisallowed(f"a result of content type {record.content_type!r:.100} is not accepted here")
    data = _COMPRESSIONS.unpack(record.meta, _INFLATED_BYTES) if codec is None else codec.unpack_result(record.meta)
    return read_document(serializer.loads(data), record.id)


def read_document(document: Any, id: str) -> ResultMeta:
    """A decoded result document as a value."""
    if not isinstance(document, Mapping):
        raise DecodeError(f"result: expected an object, got {type(document).__name__}")
    status = document.get("status")
    if type(status) is not str:
        raise DecodeError("result.status: expected a string")
    result, error = document.get("result"), None
    traceback = _text(document, "traceback")
    if status in EXCEPTION_STATES:
        error = read_error(result, traceback or "")
        result = None if error is not None else result
    children = document.get("children")
    retries, most, runtime, stamps = map(document.get, ("retries", "max_retries", "runtime", "stamps"))
    return ResultMeta(
        task_id=_text(document, "task_id") or id,
        status=status,
        result=result,
        error=error,
        traceback=traceback,
        children=tuple(children) if isinstance(children, list | tuple) else (),
        date_done=_read_done(document.get("date_done")),
        name=_text(document, "name"),
        args=document.get("args"),
        kwargs=document.get("kwargs"),
        worker=_text(document, "worker"),
        retries=retries if type(retries) is int else None,
        queue=_text(document, "queue"),
        group_id=_text(document, "group_id"),
        parent_id=_text(document, "parent_id"),
        max_retries=most if type(most) is int else None,
        runtime=runtime if type(runtime) is float else None,
        stamps=stamps if isinstance(stamps, Mapping) else {},
        revoked_by=_text(document, "revoked_by"),
    )


def _text(document: Mapping[str, Any], field: str) -> str | None:
    value = document.get(field)
    return value if isinstance(value, str) else None


def _read_done(value: Any) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def read_error(wire: Any, traceback: str) -> ErrorInfo | None:
    """An exception as a result document has it."""
    if isinstance(wire, BaseException):  # pickle stores the exception itself
        return error_info(wire, traceback)
    if not isinstance(wire, Mapping) or type(wire.get("exc_type")) is not str:
        return None
    message = wire.get("exc_message")
    # Celery before 4.3 stored the text alone.
    args = tuple(message) if isinstance(message, list | tuple) else () if message is None else (message,)
    return ErrorInfo(
        type=wire["exc_type"],
        module=wire["exc_module"] if type(wire.get("exc_module")) is str else "builtins",
        args=args,
        text=str(args[0]) if len(args) == 1 else ", ".join(map(str, args)),
        traceback=traceback,
    )


# Exceptions from data

_OURS = "leveret.errors"
_CELERYS = frozenset(("celery.exceptions", "billiard.exceptions"))
SHARED_ERRORS = frozenset(
    (
        *("AlreadyRegistered", "ChordError", "Ignore", "ImproperlyConfigured", "InvalidTaskError", "NotRegistered"),
        *("MaxRetriesExceededError", "QueueNotFound", "Reject", "Retry", "SecurityError", "SoftTimeLimitExceeded"),
        *("TaskError", "TaskRevokedError", "Terminated", "TimeLimitExceeded", "TimeoutError", "WorkerLostError"),
    )
)
"""Names of `celery.exceptions` that mean the same here."""


def rebuild(error: ErrorInfo) -> BaseException:
    """The exception again if its class is loaded here and is an error; else, or if it refuses its arguments, a
    `RemoteError`. Data never imports, and never raises what stops a process or a loop."""
    kind = _find_exception(error)
    if kind is not None:
        try:
            made = kind(*error.args)
        except Exception:  # user code: a constructor that wants other arguments than it passed on
            made = None
        if isinstance(made, kind):
            return made
    return RemoteError(error.type, error.module, *error.args)


def _find_exception(error: ErrorInfo) -> type[Exception] | None:
    # Celery's own errors are ours under the same name, whether Celery is loaded or not: it is our client that raises.
    ours = error.module in _CELERYS and error.type in SHARED_ERRORS
    found = loaded_class(_OURS if ours else error.module, error.type)
    # Only Exception: SystemExit, KeyboardInterrupt, GeneratorExit and asyncio's CancelledError are none.
    if found is None or not issubclass(found, Exception):
        return None
    return None if issubclass(found, StopIteration | StopAsyncIteration) else found
