"""Outcomes as Redis keeps them: Celery's document under Celery's key, and our facts beside it.

The facts are one line, `attempt flags digest not_before content_type state`, and behind it a tombstone's document, or
that of a task which was retried: a Celery worker sends the next attempt before it stores RETRY, and then writes that
over the end which somebody else has stored meanwhile.
Flags: T has ended, B a tombstone, R a retry, E there is no document; `-` is none, here and in the other fields.
The digest is the document's sha1 where its head does not tell whether it has ended: no status is seen there, or one
that a task gave itself by `update_state`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha1
from typing import NamedTuple
from urllib.parse import quote, unquote

from leveret.errors import MessageTooLarge
from leveret.links.redis.conversation import Command
from leveret.logic.wire.foreign import content_type_of, head_status, status_of
from leveret.model.message import TaskId
from leveret.model.settlement import Record
from leveret.model.state import PENDING, READY_STATES, RETRY, SUCCESS

JSON = "application/json"
MOST_BYTES = 512 * 1024 * 1024
"""Of one value (`proto-max-bulk-len`)."""
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)
_LINE = re.compile(
    rb"(\d{1,9}) ([TBRE]+|-) (-|[0-9a-f]{40}) (-|[\d.]+(?:e[+-]\d+)?) ([!-~]+) ([!-~]+)(?:\n(.*))?", re.DOTALL
)

Raw = tuple[bytes | None, bytes | None]
"""What is kept of one task: document and facts."""


class Keys:
    """Names of keys and channels; both of a task's keys hash to the same slot of a cluster."""

    __slots__ = ("prefix", "task")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.task = f"{prefix}celery-task-meta-"

    def document(self, id: str) -> str:
        """Also the channel where it is published."""
        return f"{self.task}{id}"

    def facts(self, id: str) -> str:
        return f"{self.prefix}leveret:{{{self.task}{id}}}"

    @property
    def around(self) -> tuple[str, str]:
        """What stands before and after the key of a document in that of its facts."""
        return f"{self.prefix}leveret:{{", "}"

    def join(self, name: str) -> str:
        """Celery's key of a group; those of its join begin so."""
        return f"{self.prefix}celery-taskset-meta-{name}"

    def pairs(self, ids: Sequence[str]) -> list[str]:
        """Document and facts of each."""
        return [key for name in ids for key in (f"{self.task}{name}", f"{self.prefix}leveret:{{{self.task}{name}}}")]

    def look(self, ids: Sequence[str]) -> Command:
        return ("MGET", *self.pairs(ids))


# Writing


def arguments(record: Record, tombstone_seconds: float) -> tuple[bytes, bytes, int]:
    """The three arguments `store.lua` takes of one record: document, facts, milliseconds."""
    seconds, meta = record.expires_after, record.meta
    if seconds is None and record.tombstone:
        seconds = tombstone_seconds
    milliseconds = 0 if seconds is None else max(int(seconds * 1000), 1)
    if len(meta) > MOST_BYTES:
        raise MessageTooLarge(f"the result of {record.id} has {len(meta):,} bytes; Redis takes at most {MOST_BYTES:,}")
    if record.tombstone:
        return b"", _facts(record) + b"\n" + meta, milliseconds
    if record.terminal and record.attempt and meta:
        return meta, _facts(record) + b"\n" + meta, milliseconds
    if record.not_before is None and meta and (record.terminal or record.state not in READY_STATES):
        shape = _shape(record.attempt, record.state, record.terminal, record.content_type)
        if meta.startswith(shape.heads):
            return meta, shape.facts, milliseconds
    return meta, _facts(record), milliseconds


def plain(record: Record) -> int | None:
    """Milliseconds to keep an outcome whose document says all of it: a first attempt's success, which no Celery worker
    overwrites. None for any other."""
    meta = record.meta
    if (
        record.attempt
        or record.state != SUCCESS
        or not record.terminal
        or record.tombstone
        or record.content_type != JSON
        or len(meta) > MOST_BYTES
    ):
        return None
    if record.not_before is not None or not meta.startswith(_HEADS):
        return None
    seconds = record.expires_after
    return 0 if seconds is None else max(int(seconds * 1000), 1)


_HEADS = (b'{"status":"SUCCESS"', b'{"status": "SUCCESS"')


class _Shape(NamedTuple):
    """The facts of all records alike in everything but id and document, whose status stands at its head."""

    facts: bytes
    heads: tuple[bytes, bytes]


@lru_cache(maxsize=256)
def _shape(attempt: int, state: str, terminal: bool, content_type: str) -> _Shape:
    record = Record(id=TaskId(""), attempt=attempt, state=state, terminal=terminal, content_type=content_type)
    heads = (f'{{"status":"{state}"'.encode(), f'{{"status": "{state}"'.encode())
    return _Shape(_line(record, _flags(record), "-"), heads)


def _facts(record: Record) -> bytes:
    flags = _flags(record) + ("" if record.meta or record.tombstone else "E")
    if not record.meta or record.tombstone:
        return _line(record, flags, "-")
    told = head_status(record.meta) == record.state and (record.terminal or record.state not in READY_STATES)
    return _line(record, flags, "-" if told else _digest(record.meta))


def _flags(record: Record) -> str:
    return (
        ("T" if record.terminal else "")
        + ("B" if record.tombstone else "")
        + ("R" if record.state == RETRY and not record.terminal else "")
    )


def _line(record: Record, flags: str, digest: str) -> bytes:
    not_before = "-" if record.not_before is None else repr(record.not_before)
    content_type = "-" if record.content_type == JSON else _plain(record.content_type)
    return f"{record.attempt} {flags or '-'} {digest} {not_before} {content_type} {_plain(record.state)}".encode()


def _plain(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else quote(text, safe="") or "%"


# Reading


def read(id: str, raw: Raw) -> Record | None:
    """What the two values say together; a document that is not the one of our facts was written by Celery.

    The rule is the fence's own (`store.lua`): whoever reads that a task has ended is refused, and nobody else.
    """
    document, line = raw
    if line is None:
        return _foreign(id, document, 0) if document else None
    facts = _parse(id, line)
    if facts is None:
        return _foreign(id, document, 0) if document else None
    if not document:
        return facts.record if facts.complete else None
    if facts.record.tombstone:
        status = status_of(document)
        return _foreign(id, document, facts.record.attempt) if status in READY_STATES else facts.record
    if facts.wrote(document):
        return _with(facts.record, document, facts.record.content_type)
    return _overwritten(id, document, facts)


class Facts(NamedTuple):
    record: Record
    """All but the document; of a tombstone that too."""
    digest: str
    complete: bool
    """There is nothing but the facts. Else a missing document was deleted by a client that does not know them."""

    def wrote(self, document: bytes) -> bool:
        """Whether it is the document they were written for, or says the same."""
        if self.digest != "-":
            return self.digest == _digest(document)
        return not self.complete and head_status(document) == self.record.state


def _parse(id: str, line: bytes) -> Facts | None:
    """None where somebody else wrote there: what is no facts of ours says nothing (`store.lua` has it so too)."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    attempt, flags, digest, not_before, content_type, state = (part.decode() for part in found.groups()[:6])
    tombstone = "B" in flags
    record = Record(
        id=TaskId(id),
        attempt=int(attempt),
        state=unquote(state) if "%" in state else state,
        meta=found[7] or b"",
        content_type=JSON if content_type == "-" else unquote(content_type),
        terminal="T" in flags,
        tombstone=tombstone,
        not_before=None if not_before == "-" else float(not_before),
    )
    return Facts(record, digest, tombstone or "E" in flags)


def _foreign(id: str, document: bytes, attempt: int) -> Record:
    status = status_of(document)
    return Record(
        id=TaskId(id),
        attempt=attempt,
        state=status or PENDING,
        meta=document,
        content_type=content_type_of(document),
        terminal=status in READY_STATES,
    )


def _overwritten(id: str, document: bytes, facts: Facts) -> Record:
    """Celery wrote over ours. The end of either is an end; a retry of ours is not hidden by a state of theirs."""
    known, status = facts.record, status_of(document)
    if status in READY_STATES:
        return _foreign(id, document, known.attempt)
    if known.terminal or (known.state == RETRY and status != RETRY):
        return known
    return _foreign(id, document, known.attempt) if status else _with(known, document, content_type_of(document))


def _with(record: Record, document: bytes, content_type: str) -> Record:
    return Record(
        id=record.id,
        attempt=record.attempt,
        state=record.state,
        meta=document,
        content_type=content_type,
        terminal=record.terminal,
        not_before=record.not_before,
    )


def pushed(id: str, payload: bytes, known: Record | None) -> Record | None:
    """The end as it was published; None where only reading the store tells all of it.

    A payload says no attempt. It is the one last seen, unless that was retried since.
    """
    if status_of(payload) not in READY_STATES or (known is not None and known.state == RETRY):
        return None
    return _foreign(id, payload, 0 if known is None else known.attempt)


def _digest(document: bytes) -> str:
    return sha1(document).hexdigest()
