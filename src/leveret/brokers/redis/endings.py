"""How hand-overs end: what `commit.lua` is told of each."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any

import msgspec
from msgspec import Struct

from leveret.brokers.redis.claims import wait
from leveret.brokers.redis.publishing import Desk, Values
from leveret.links.redis import envelope
from leveret.links.redis.names import Names, queue_of, read_receipt
from leveret.links.redis.results.records import Keys, arguments
from leveret.links.redis.results.verbs import ACQUITTALS, joined
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Call, Verb, good, run, script
from leveret.logic.wire.foreign import status_of
from leveret.model.delivery import Charge, DeadLetter, Receipt, Verdict
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Joined, Stale
from leveret.model.state import READY_STATES

AT_ONCE = 256
"""Deliveries in one run of the script: Redis serves nobody else meanwhile (2 ms)."""
NOT_OURS = Stale("the receipt is not held any more")
FENCED = Stale("a terminal record or a later attempt is stored")
DONE = Committed()
REFUSED, SETTLED, UNREADABLE, NOT_HELD = range(4)
"""What `commit.lua` answers."""


class Letter(Struct, frozen=True, kw_only=True):
    """A dead letter as it is kept."""

    queue: str
    list: str
    """Where it came from."""
    reason: str
    at: float
    raw: bytes
    """The envelope as it came."""
    charges: tuple[Charge, ...] = ()

    def open(self, id: str, names: Names) -> DeadLetter:
        found = envelope.encoded(envelope.read(self.raw), self.raw, names)
        return DeadLetter(id=id, queue=self.queue, reason=self.reason, at=self.at, encoded=found, charges=self.charges)


read_letter: Callable[[bytes], Letter] = msgspec.json.Decoder(Letter).decode


class Endings:
    """Every way a delivery ends; holds nothing but names."""

    def __init__(self, desk: Desk, results: Keys, options: DriverOptions, channels: Channels) -> None:
        self._desk, self._names, self._results, self._options = desk, desk.names, results, options
        self._channels = channels

    def commit(
        self, commitments: Sequence[Commitment], raws: Mapping[Receipt, bytes], now: float
    ) -> Verb[tuple[Committed | Stale, ...]]:
        """`raws` has the message of every delivery that goes back, is parked, or stood at the door."""
        follow = {posting.queue for commitment in commitments for posting in commitment.follow}
        if follow:
            yield from self._desk.introduce(follow)
        told = [self._told(commitment, raws.get(commitment.receipt), now) for commitment in commitments]
        answers = yield from self._run(told, "")
        for _ in range(ACQUITTALS):
            unclear = [place for place, answer in enumerate(answers) if answer == UNREADABLE]
            if not unclear:
                break
            yield from self._judge(commitments, told, answers, unclear)
        return tuple(map(_answer, commitments, answers))

    def _told(self, commitment: Commitment, raw: bytes | None, now: float) -> Values:
        ticket, record = read_receipt(commitment.receipt), commitment.record
        out: Values = [ticket.session, ticket.field]
        ends = commitment.verdict is not Verdict.RELEASE
        door = envelope.once(raw) if ends and raw is not None else None
        out += ("", 0) if door is None else door
        if record is None:
            out += ("", "", "", "", "")
        else:
            out += (self._results.document(record.id), self._results.facts(record.id))
            out += arguments(record, self._options.tombstone_expires)
        more = self._more(commitment, raw, ticket.list, now)
        return [*out, len(more), *more]

    def _more(self, commitment: Commitment, raw: bytes | None, list: str, now: float) -> Values:
        seat = commitment.seat
        match commitment.verdict:
            case Verdict.ACK if not commitment.follow and seat is None:
                return []
            case Verdict.ACK:
                out: Values = ["ack", "", "", ""]
            case Verdict.RELEASE:
                message = envelope.changed(raw or b"", counted=commitment.counted)
                out = ["release", message, wait(commitment.delay), list]
            case Verdict.REJECT:
                name, letter = letter_of(raw or b"", list, commitment.reason, now)
                out = ["reject", letter, name, ""]
        if seat is None:
            out += ("", "", "", "", "")
        else:
            out += (self._results.join(seat.join), seat.index, seat.size, seat.value, self._join_milliseconds)
        return out + self._desk.values(commitment.follow, now)

    @property
    def _join_milliseconds(self) -> int:
        expires = self._options.result_expires
        return 0 if expires is None else max(int(expires * 1000), 1)

    def _run(self, told: Sequence[Values], acquitted: str) -> Verb[list[Any]]:
        calls: list[Call] = []
        for start in range(0, len(told), AT_ONCE):
            values: Values = [self._names.prefix, "1" if self._channels.open else "0", acquitted]
            for one in told[start : start + AT_ONCE]:
                values += one
            calls.append(([], values))
        answers = yield from run(script("commit"), calls)
        silent = [answer.pop() for answer in answers]
        if any(silent):
            self._channels.close("publish")
        return [one for answer in answers for one in answer]

    def _judge(
        self, commitments: Sequence[Commitment], told: Sequence[Values], answers: list[Any], unclear: list[int]
    ) -> Verb[None]:
        """Documents in a format that scripts cannot read: read them here, and settle what they do not refuse."""
        records = {place: record for place in unclear if (record := commitments[place].record) is not None}
        found = yield [("MGET", *(self._results.document(record.id) for record in records.values()))]
        acquitted: dict[int, str] = {}
        for place, document in zip(records, good(found[0]), strict=True):
            if document is not None and status_of(document) in READY_STATES:
                answers[place] = REFUSED
            else:
                acquitted[place] = sha1(document or b"").hexdigest()
        if acquitted:
            again = yield from self._run([told[place] for place in acquitted], " ".join(acquitted.values()))
            for place, answer in zip(acquitted, again, strict=True):
                answers[place] = answer


def letter_of(raw: bytes, list: str, reason: str, now: float) -> tuple[str, bytes]:
    """The id of a dead letter, and the letter."""
    read = envelope.read(raw)
    found = None if read is None else read.headers.get("id")
    past = None if read is None else read.leveret
    letter = Letter(
        queue=queue_of(list),
        list=list,
        reason=reason,
        at=now,
        raw=raw,
        charges=past.charges if past else (),
    )
    name = found if isinstance(found, str) and found else f"unreadable-{sha1(raw).hexdigest()}"
    return name, msgspec.json.encode(letter)


def _answer(commitment: Commitment, answer: Any) -> Committed | Stale:
    if answer == SETTLED:
        seat = commitment.seat
        return DONE if seat is None else Committed(Joined(join=seat.join, complete=False))
    if answer == NOT_HELD:
        return NOT_OURS
    if isinstance(answer, list) and commitment.seat is not None:
        return Committed(joined(commitment.seat, answer[1]))
    return FENCED
