"""What is stored of an attempt: a full record, a tombstone that only stops a second run, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leveret.errors import DecodeError
from leveret.logic.codec import Codec
from leveret.logic.following import Following
from leveret.logic.results import MetaFields, error_info, read_meta, write_meta, write_success
from leveret.logic.wire.signatures import signature_from_wire, signature_to_wire
from leveret.model.delivery import Encoded
from leveret.model.message import Message, TaskId
from leveret.model.outcome import ErrorInfo, Retried
from leveret.model.settlement import Record
from leveret.model.signature import SignatureSpec
from leveret.model.state import FAILURE, RETRY, REVOKED, STARTED, SUCCESS
from leveret.model.task import TaskDefinition

REPLACED = "REPLACED"
"""In the document of an attempt whose place another signature took; no state that anybody sees."""


NO_FIELDS: MetaFields = {}


def is_ignored(message: Message, definition: TaskDefinition | None) -> bool:
    """Whether nobody wants the result: per call beats per task (which holds the global default)."""
    if message.ignore_result is not None:
        return message.ignore_result
    return definition is not None and definition.ignore_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What `admit` and `conclude` need besides the message; made once by wiring."""

    codec: Codec
    following: Following
    worker: str = ""
    result_expires: float | None = 86_400.0
    tombstone_expires: float = 86_400.0
    extended: bool = False
    """`result_extended`: name, arguments and worker go into the result document."""
    joins: bool = True
    """Whether there is a store that can count the seats of chords."""
    sizes_known: bool = False
    """Whether that store knows the size of a join by itself (Celery's keys), so that a body need not say it."""

    def success(
        self,
        message: Message,
        definition: TaskDefinition,
        encoded: bytes,
        follows: bool,
        now: float,
        more: MetaFields = NO_FIELDS,
    ) -> Record | None:
        """`more` goes into the document beside the value."""
        if is_ignored(message, definition):
            if not self._leaves_trace(message, follows):
                return None
            # What follows needs the value again if the worker dies before it is published.
            meta = write_success(self.codec, message, encoded, now) if follows else b""
            return self._tombstone(message, SUCCESS, meta)
        extra: MetaFields = self._extended(message) if self.extended else {}
        if more:
            extra.update(more)
        meta = write_success(self.codec, message, encoded, now, **extra)
        return self._record(message, definition, SUCCESS, meta)

    def failure(
        self,
        message: Message,
        definition: TaskDefinition | None,
        error: ErrorInfo,
        follows: bool,
        now: float,
        children: tuple[Any, ...] = (),
    ) -> Record | None:
        stores_errors = definition is not None and definition.store_errors_even_if_ignored
        if is_ignored(message, definition) and not stores_errors:
            if not self._leaves_trace(message, follows):
                return None
            meta = self._meta(message, FAILURE, now, error) if follows else b""
            return self._tombstone(message, FAILURE, meta)
        return self._record(message, definition, FAILURE, self._meta(message, FAILURE, now, error, children))

    def revoked(
        self, message: Message, definition: TaskDefinition | None, error: ErrorInfo, now: float
    ) -> Record | None:
        if is_ignored(message, definition):
            waited_for = bool(message.embed.chain or message.embed.chord)
            return self._tombstone(message, REVOKED) if self._leaves_trace(message, waited_for) else None
        fields = self._fields(message)
        fields["error"], fields["date_done"], fields["stamps"] = error, now, message.stamps or None
        meta = write_meta(self.codec, id=message.id, status=REVOKED, **fields)
        return self._record(message, definition, REVOKED, meta)

    def retry(self, message: Message, definition: TaskDefinition, retried: Retried, not_before: float) -> Record:
        """A retry always leaves a record, if only a tombstone: it fences the run that asked for it."""
        ignored = is_ignored(message, definition) and not definition.store_errors_even_if_ignored
        changes = retried.args is not None or retried.kwargs is not None
        if ignored and not changes:
            return self._tombstone(message, RETRY, not_before=not_before)
        fields = self._fields(message)
        fields["error"] = retried.error or ErrorInfo(type="Retry", module="leveret.errors", text="will be retried")
        # A replay of this record sends the arguments that the task asked for, None: the message's own again.
        fields["args"], fields["kwargs"] = retried.args, retried.kwargs
        fields["max_retries"] = definition.retry.max_retries
        meta = write_meta(self.codec, id=message.id, status=RETRY, **fields)
        if ignored:
            return self._tombstone(message, RETRY, meta, not_before)
        return self._record(message, definition, RETRY, meta, not_before)

    def replaced(self, message: Message, spec: SignatureSpec) -> Record:
        """That another took its place: no outcome of the task, which is still to come, but the end of this attempt."""
        meta = write_meta(self.codec, id=message.id, status=REPLACED, result=signature_to_wire(spec))
        return self._tombstone(message, RETRY, meta)

    def replacement(self, stored: Record) -> SignatureSpec | None:
        """What took the place of a stored attempt."""
        if not stored.tombstone or not stored.meta:
            return None
        meta = read_meta(stored, self.codec)
        return signature_from_wire(meta.result) if meta.status == REPLACED else None

    def started(self, message: Message, definition: TaskDefinition, pid: int) -> Record:
        """For `track_started`."""
        meta = write_meta(self.codec, id=message.id, status=STARTED, result={"pid": pid, "hostname": self.worker})
        return self._record(message, definition, STARTED, meta)

    def value(self, stored: Record) -> Any:
        """The value of a stored success, for what follows it; None where a tombstone kept none."""
        try:
            return read_meta(stored, self.codec).result
        except DecodeError:
            return None

    def error(self, stored: Record) -> ErrorInfo:
        """The error of a stored failure, for what it means to others."""
        try:
            found = read_meta(stored, self.codec).error
        except DecodeError:
            found = None
        return found or ErrorInfo(type="TaskError", module="leveret.errors", args=(stored.state,), text=stored.state)

    def retried_arguments(self, stored: Record) -> tuple[tuple[Any, ...] | None, Mapping[str, Any] | None]:
        """The arguments `self.retry(args=, kwargs=)` asked for, None where it kept the message's own."""
        try:
            meta = read_meta(stored, self.codec)
        except DecodeError:
            return None, None
        args = tuple(meta.args) if isinstance(meta.args, list | tuple) else None
        return args, meta.kwargs if isinstance(meta.kwargs, Mapping) else None

    def _leaves_trace(self, message: Message, follows: bool) -> bool:
        # A computed id may come a second time; a retried one stands in the store already.
        return follows or message.derived or message.attempt > 0

    def unread(self, encoded: Encoded, error: Exception, now: float) -> Record | None:
        """The failure of a message nobody can read, so that its sender need not wait for ever. Nothing in it is trusted
        but its id; None where it has none or wants no result."""
        name = encoded.headers.get("id")
        if not isinstance(name, str) or not name or encoded.headers.get("ignore_result") is True:
            return None
        return Record(
            id=TaskId(name),
            attempt=0,
            state=FAILURE,
            meta=write_meta(self.codec, id=name, status=FAILURE, error=error_info(error), date_done=now),
            content_type=self.codec.result_serializer.content_type,
            terminal=True,
            expires_after=self.result_expires,
            reply_to=encoded.reply_to,
        )

    def _record(
        self,
        message: Message,
        definition: TaskDefinition | None,
        state: str,
        meta: bytes,
        not_before: float | None = None,
    ) -> Record:
        own = message.settings.get("result_expires") if message.settings else None
        if own is None and definition is not None:
            own = definition.result_expires
        return Record(
            id=message.id,
            attempt=message.attempt,
            state=state,
            meta=meta,
            content_type=self.codec.result_serializer.content_type,
            terminal=state in _TERMINAL,
            not_before=not_before,
            expires_after=self.result_expires if own is None else own,
            reply_to=message.reply_to,
        )

    def _tombstone(self, message: Message, state: str, meta: bytes = b"", not_before: float | None = None) -> Record:
        return Record(
            id=message.id,
            attempt=message.attempt,
            state=state,
            meta=meta,
            content_type=self.codec.result_serializer.content_type,
            terminal=state in _TERMINAL,
            tombstone=True,
            not_before=not_before,
            expires_after=self.tombstone_expires,
        )

    def _meta(
        self, message: Message, state: str, now: float, error: ErrorInfo, children: tuple[Any, ...] = ()
    ) -> bytes:
        fields = self._fields(message)
        fields["error"], fields["date_done"], fields["children"] = error, now, children
        return write_meta(self.codec, id=message.id, status=state, **fields)

    def _fields(self, message: Message) -> MetaFields:
        fields: MetaFields = self._extended(message) if self.extended else {}
        fields["group_id"], fields["parent_id"] = message.group, message.parent_id
        return fields

    def _extended(self, message: Message) -> MetaFields:
        return {
            "name": message.task,
            "args": message.args,
            "kwargs": message.kwargs,
            "worker": self.worker,
            "retries": message.attempt,
            "queue": message.queue,
        }


_TERMINAL = frozenset({SUCCESS, FAILURE, REVOKED})
