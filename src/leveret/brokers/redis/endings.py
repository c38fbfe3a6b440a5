"""How hand-overs end: what `commit.lua` is told of each."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any

import msgspec
from msgspec import Struct

from leveret.brokers.redis.claims import wait
from leveret.brokers.redis.publishing import Desk, Values
from leveret.links.redis import envelope
from leveret.links.redis.names import Names, queue_of
from leveret.links.redis.results.records import arguments, plain
from leveret.links.redis.results.verbs import ACQUITTALS, Verbs, joined
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Call, Verb, good, run, script
from leveret.logic.wire.foreign import status_of
from leveret.model.delivery import Charge, DeadLetter, Posting, Receipt, Verdict
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Joined, Seat, Stale
from leveret.model.state import READY_STATES

AT_ONCE = 256
"""Deliveries in one run of the script: Redis serves nobody else meanwhile (2 ms)."""
NOT_OURS = Stale("the receipt is not held any more")
FENCED = Stale("a terminal record or a later attempt is stored")
DONE = Committed()
KEEP_AT, TAKES_AT = 6, 7
"""Where a call says how long plain outcomes are kept, and how many of its values are a claim."""
Told = tuple[str, int | None, Values]
"""Of one delivery: its session, the milliseconds to keep a plain outcome, and what the script is told."""
Posted = Mapping[int, tuple[Any, Posting]]
"""Messages as they lie in their lists, each with what it was made of."""
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

    def __init__(self, desk: Desk, store: Verbs, options: DriverOptions, channels: Channels) -> None:
        self._desk, self._names, self._options, self._channels = desk, desk.names, options, channels
        self._store, self._results = store, store.keys

    def commit(
        self, commitments: Sequence[Commitment], raws: Mapping[Receipt, bytes], now: float
    ) -> Verb[tuple[Committed | Stale, ...]]:
        """`raws` has the message of every delivery that goes back, is parked, or stood at the door."""
        answers = yield from self._commit(commitments, raws, now)
        held = [place for place, answer in enumerate(answers) if isinstance(answer, list)]
        if held:
            rest = []
            for place in held:
                rest.append((yield from self._set_free(commitments[place], answers[place])))
            last = yield from self._commit(rest, raws, now)
            for place, answer in zip(held, last, strict=True):
                answers[place] = answers[place] if answer == SETTLED else answer
        return tuple(map(_answer, commitments, answers))

    def _set_free(self, commitment: Commitment, found: list[bytes]) -> Verb[Commitment]:
        """Write what is said of others, and answer what is left: to send what follows, and to end the delivery."""
        records, follow = list(commitment.also), list(commitment.follow)
        seats: tuple[Seat, ...] = () if commitment.seat is None else (commitment.seat,)
        answers = tuple(joined(seat, found or None) for seat in seats)
        while seats:
            released = [seat.release(one) for seat, one in zip(seats, answers, strict=True) if seat.release is not None]
            records += [record for one in released for record in one.records]
            follow += [posting for one in released for posting in one.follow]
            seats = tuple(seat for one in released for seat in one.seats)
            answers = yield from self._store.arrive(seats)
        # Each is fenced by itself: what is refused has ended otherwise, and nothing hangs on it.
        yield from self._store.store(tuple(records))
        return Commitment(
            receipt=commitment.receipt,
            verdict=commitment.verdict,
            follow=tuple(follow),
            delay=commitment.delay,
            reason=commitment.reason,
            counted=commitment.counted,
        )

    def commit_and_claim(
        self,
        commitments: Sequence[Commitment],
        raws: Mapping[Receipt, bytes],
        now: float,
        asking: Sequence[str | bytes | int],
    ) -> Verb[tuple[tuple[Committed | Stale, ...], list[Any], Posted]]:
        """As `commit`, and what `taking.lua` answers to `asking`; for a batch that is one run of the script. Last: the
        messages that were in it, by the place by which the answer names them."""
        told = [self._told(commitment, raws.get(commitment.receipt, b""), now) for commitment in commitments]
        yield from self._desk.introduce({posting.queue for commitment in commitments for posting in commitment.follow})
        calls = self._calls(told, "")
        if len(calls) > 1 or any(commitment.seat or commitment.also for commitment in commitments):
            return (yield from self.commit(commitments, raws, now)), [], {}
        values = calls[0][1]
        values[TAKES_AT] = len(asking)
        follow = {posting.id: posting for commitment in commitments for posting in commitment.follow}
        # Scripts count from 1.
        posted = {
            place + 3: (values[place + 2], follow[name])
            for place, value in enumerate(values)
            if value == "?" and (name := str(values[place + 4])) in follow
        }
        (answer,) = yield from run(script("commit"), [([], [*values, *asking])])
        if answer.pop():
            self._channels.close("publish")
        taken = answer.pop()
        unclear = [place for place, one in enumerate(answer) if one == UNREADABLE]
        if unclear:
            yield from self._judge(commitments, told, answer, unclear)
        return tuple(map(_answer, commitments, answer)), taken, posted

    def _commit(self, commitments: Sequence[Commitment], raws: Mapping[Receipt, bytes], now: float) -> Verb[list[Any]]:
        follow = {posting.queue for commitment in commitments for posting in commitment.follow}
        if follow:
            yield from self._desk.introduce(follow)
        told = [self._told(commitment, raws.get(commitment.receipt, b""), now) for commitment in commitments]
        answers = yield from self._run(told, "")
        for _ in range(ACQUITTALS):
            unclear = [place for place, answer in enumerate(answers) if answer == UNREADABLE]
            if not unclear:
                break
            yield from self._judge(commitments, told, answers, unclear)
        return answers

    def _told(self, commitment: Commitment, raw: bytes, now: float) -> Told:
        session, _, field = commitment.receipt.partition(" ")
        record, verdict = commitment.record, commitment.verdict
        may_have_one = verdict is not Verdict.RELEASE and (len(raw) > envelope.LONG or b'"once":' in raw)
        door = envelope.once(raw) if may_have_one else None
        seat, also = commitment.seat, commitment.also
        if verdict is Verdict.ACK and door is None and not commitment.follow and seat is None and not also:
            if record is None:
                return session, None, ["-", field]
            milliseconds = plain(record)
            if milliseconds is not None:
                return session, milliseconds, ["=", field, self._results.task + record.id, record.meta]
        if record is None:
            outcome: Values = ["", "", "", 0]
        else:
            outcome = [self._results.document(record.id), *arguments(record, self._options.tombstone_expires)]
        out: Values = ["*", field, *(door or ("", 0)), *outcome]
        out += self._ending(commitment, raw, field, now)
        if seat is None:
            out += ("", "", "", "", "", 0)
        else:
            out += (self._results.join(seat.join), seat.index, seat.size, seat.value, self._join_milliseconds)
            out.append(int(seat.failed))
        out.append(int(bool(also) or (seat is not None and seat.failed)))
        follow = self._desk.values(commitment.follow, now)
        return session, None, [*out, len(follow), *follow]

    def _ending(self, commitment: Commitment, raw: bytes, field: str, now: float) -> Values:
        name = field.partition(" ")[2]
        if commitment.verdict is Verdict.RELEASE:
            message = envelope.changed(raw, counted=commitment.counted)
            return ["release", message, wait(commitment.delay), name]
        if commitment.verdict is Verdict.REJECT:
            called, letter = letter_of(raw, name, commitment.reason, now)
            return ["reject", letter, called, ""]
        return ["ack", "", "", ""]

    @property
    def _join_milliseconds(self) -> int:
        expires = self._options.result_expires
        return 0 if expires is None else max(int(expires * 1000), 1)

    def _run(self, told: Sequence[Told], acquitted: str) -> Verb[list[Any]]:
        answers = yield from run(script("commit"), self._calls(told, acquitted))
        silent = [answer.pop() for answer in answers]
        if any(silent):
            self._channels.close("publish")
        for answer in answers:
            answer.pop()  # what was taken: nothing was asked for
        return [one for answer in answers for one in answer]

    def _calls(self, told: Sequence[Told], acquitted: str) -> list[Call]:
        """One for each session, and for so many deliveries; plain outcomes in one are kept equally long."""
        calls: list[Call] = []
        session, keep, room = "", None, 0
        values: Values = []
        for owner, milliseconds, words in told:
            if not room or owner != session or (milliseconds is not None and keep not in (None, milliseconds)):
                session, keep, room = owner, None, AT_ONCE
                before, after = self._results.around
                head = (
                    self._names.prefix,
                    "1" if self._channels.open else "0",
                    acquitted,
                    session,
                    before,
                    after,
                    0,
                    0,
                )
                values = list(head)
                calls.append(([], values))
            if milliseconds is not None and keep is None:
                keep = values[KEEP_AT] = milliseconds
            values += words
            room -= 1
        return calls

    def _judge(
        self, commitments: Sequence[Commitment], told: Sequence[Told], answers: list[Any], unclear: list[int]
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
    seat = commitment.seat
    if isinstance(answer, list):
        return DONE if seat is None else Committed(joined(seat, answer or None))
    if answer == SETTLED:
        if seat is None:
            return DONE
        still_open = Joined(join=seat.join, complete=False)
        if seat.release is not None:
            seat.release(still_open)  # as every driver asks; of an open join nothing follows
        return Committed(still_open)
    return NOT_OURS if answer == NOT_HELD else FENCED
