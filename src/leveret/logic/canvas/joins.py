"""The seats of chords: who takes one, what the last one sets free, and what a failure means for those behind it.

The law: each consequence has a computed id, so that taking a seat twice, or failing it twice, names the same messages.
"""

from functools import partial

import msgspec

from leveret.errors import ChordError
from leveret.logic.canvas.parts import raised, read_part, shaped, write_part
from leveret.logic.following import next_step
from leveret.logic.ids import derive
from leveret.logic.recording import Rules
from leveret.logic.results import error_info, error_to_wire
from leveret.model.delivery import Posting
from leveret.model.message import Message
from leveret.model.outcome import ErrorInfo
from leveret.model.settlement import ANY_PLACE, NOTHING, Joined, Record, Release, Released, Seat
from leveret.model.state import FAILURE, REVOKED, SUCCESS

NOBODYS = -1
"""The index of a seat that closes a join without being a member's."""


def is_member(message: Message) -> bool:
    """Whether its outcome is awaited by a chord. Of a chain it is the last step's."""
    return message.embed.chord is not None and message.group is not None and not message.embed.chain


def is_counted(message: Message, rules: Rules) -> bool:
    """Whether its seat can be taken here."""
    body = message.embed.chord
    return rules.joins and body is not None and (body.chord_size is not None or rules.sizes_known)


def seat(message: Message, value: bytes, rules: Rules, now: float) -> Seat | None:
    """The seat of a member that succeeded; `value` as the result serializer wrote it."""
    if not is_member(message) or not is_counted(message, rules):
        return None
    part = write_part(rules.codec, message.id, SUCCESS, value)
    return _seat(message, part, partial(_complete, message, rules, now), failed=False)


def failed_seat(message: Message, error: ErrorInfo, rules: Rules, now: float) -> Seat | None:
    """The seat of a member that will never answer: it fails the body at once."""
    if not is_member(message) or not is_counted(message, rules):
        return None
    why = raised(message.id, error)

    def release(joined: Joined) -> Released:
        if joined.complete:  # the seat had been taken before
            return _complete(message, rules, now, joined)
        return NOTHING if joined.over or joined.claimed else _failed(message, why, rules, now)

    part = write_part(rules.codec, message.id, FAILURE, rules.codec.encode_value(error_to_wire(error)))
    return _seat(message, part, release, failed=True)


def timed_out(message: Message, rules: Rules, now: float) -> Seat | None:
    """What closes a join whose time is over (`chord_timeout`), unless it is complete."""
    if not is_counted(message, rules) or message.group is None:
        return None
    seconds = message.args[0] if message.args else 0
    why = f"the chord was not complete within {seconds} s (chord_timeout)"

    def release(joined: Joined) -> Released:
        return NOTHING if joined.over or joined.claimed or joined.complete else _failed(message, why, rules, now)

    return msgspec.structs.replace(_seat(message, b"", release, failed=True), index=NOBODYS)


def aftermath(message: Message, error: ErrorInfo, state: str, rules: Rules, now: float) -> Released:
    """What it means to others that a task ended so: the rest of its chain will not run, and what waits for the chain's
    end as a member of a chord has failed with it."""
    records: list[Record] = []
    seats: list[Seat] = []
    pending = [message]
    # A loop: a chain may have thousands of steps.
    while pending:
        one = pending.pop()
        if one.embed.chain:
            heirs = rules.following.heirs(next_step(one.embed), one, derive(one.id, "chain"), now)
            records += [record for heir in heirs if (record := _ended(heir, error, state, rules, now)) is not None]
            pending += heirs
        elif (failed := failed_seat(one, error, rules, now)) is not None:
            seats.append(failed)
    return Released(records=tuple(records), seats=tuple(seats))


def _seat(message: Message, value: bytes, release: Release, *, failed: bool) -> Seat:
    body = message.embed.chord
    assert body is not None
    return Seat(
        join=str(message.group),
        index=ANY_PLACE if message.group_index is None else message.group_index,
        id=message.id,
        size=body.chord_size or 0,
        value=value,
        failed=failed,
        release=release,
    )


def _complete(message: Message, rules: Rules, now: float, joined: Joined) -> Released:
    if not (joined.complete or joined.values):
        return NOTHING
    codec = rules.codec
    try:
        parts = [read_part(codec, value) for value in joined.values]
        lost = next((part for part in parts if part.error is not None), None)
        if lost is not None and lost.error is not None:  # a Celery worker's: it takes its seat, and the last one looks
            return _failed(message, raised(lost.id, lost.error), rules, now)
        if not joined.complete:
            return NOTHING
        values = shaped(codec, joined.shape, parts)
        return Released(follow=tuple(map(codec.post, rules.following.body(message, values, now))))
    except Exception as error:  # values that are too many for one message, a body that is none
        return _failed(message, f"the body could not be sent: {error}", rules, now)


def _failed(member: Message, why: str, rules: Rules, now: float) -> Released:
    """The body of the member's chord has failed without a run: for whoever waits for it, and for all behind it."""
    error = error_info(ChordError(why))
    body, records, seats = member.embed.chord, list[Record](), list[Seat]()
    follow: list[Posting] = []
    assert body is not None and member.group is not None
    for heir in rules.following.heirs(body, member, derive(member.group, "body"), now):
        record = _ended(heir, error, FAILURE, rules, now)
        if record is not None:
            records.append(record)
        follow += map(rules.codec.post, rules.following.failure(heir, error, now))
        behind = aftermath(heir, error, FAILURE, rules, now)
        records += behind.records
        seats += behind.seats
    return Released(records=tuple(records), follow=tuple(follow), seats=tuple(seats))


def _ended(message: Message, error: ErrorInfo, state: str, rules: Rules, now: float) -> Record | None:
    definition = rules.following.registry.find(message.task)
    if state == REVOKED:
        return rules.revoked(message, definition, error, now)
    return rules.failure(message, definition, error, True, now)
