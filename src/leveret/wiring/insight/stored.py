"""What a stored outcome says of a call, for `explain`."""

from typing import Any

from leveret.errors import DecodeError
from leveret.logic.codec import Codec
from leveret.logic.recording import REPLACED
from leveret.logic.results import ResultMeta, read_meta
from leveret.model.insight.call import Stored
from leveret.model.settlement import Record


def stored_facts(record: Record, codec: Codec) -> tuple[Stored, ResultMeta | None]:
    """A document that cannot be read says nothing but its state."""
    try:
        meta = read_meta(record, codec)
    except DecodeError:
        return _bare(record), None
    return of_meta(meta, record), meta


def _bare(record: Record) -> Stored:
    return Stored(
        state=record.state, attempt=record.attempt, terminal=record.terminal, tombstone=record.tombstone,
        not_before=record.not_before,
    )  # fmt: skip


def of_meta(meta: ResultMeta, record: Record) -> Stored:
    error = "" if meta.error is None else f"{meta.error.type}: {meta.error.text}".removesuffix(": ")
    return Stored(
        state=record.state,
        attempt=record.attempt,
        terminal=record.terminal,
        tombstone=record.tombstone,
        at=None if meta.date_done is None else meta.date_done.timestamp(),
        not_before=record.not_before,
        error=error,
        name=meta.name or "",
        worker=meta.worker or _hostname(meta.result),
        seconds=meta.runtime,
        max_retries=meta.max_retries,
        replaced_by=_task(meta.result) if meta.status == REPLACED else "",
    )


def _hostname(result: Any) -> str:
    """Of a STARTED: Celery's `{"pid", "hostname"}`."""
    found = result.get("hostname") if isinstance(result, dict) else None
    return found if isinstance(found, str) else ""


def _task(wire: Any) -> str:
    return str(wire.get("task", "another task")) if isinstance(wire, dict) else "another task"
