"""How hand-overs end: what `commit.lua` is told of each."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from leveret.brokers.redis.claims import wait
from leveret.brokers.redis.publishing import Desk, Values
from leveret.links.redis import envelope
from leveret.links.redis.names import Names, queue_of
from leveret.links.redis.results.records import arguments, plain
from leveret.links.redis.results.verbs import ACQUITTALS, Verbs, begun, joined, opened, seat_values
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Call, Verb, good, run, script
from leveret.logic.wire.foreign import status_of
from leveret.model.delivery import Charge, DeadLetter, Posting, Receipt, Verdict
from leveret.model.options import DriverOptions
from leveret.model.settlement import NOTHING, Commitment, Committed, Joined, Seat, Stale, answered, waiting
from leveret.model.state import READY_STATES

AT_ONCE = 256
"""Deliveries in one run of the script: Redis serves nobody else meanwhile (2 ms)."""
NOT_OURS = Stale("the receipt is not held any more")
FENCED = Stale("a terminal record or a later attempt is stored")
DONE = Committed()
KEEP_AT, TAKES_AT = 6, 9
"""Where a call says how long plain outcomes are kept, and how many of its values are a claim."""
Told = tuple[str, int | None, Values]
"""Of one delivery: its session, the milliseconds to keep a plain outcome, and what the script is told."""
Left = tuple[Commitment, tuple[str, ...]]
"""A commitment, and the joins that are over with it."""
Posted = Mapping[int, tuple[Any, Posting]]
"""Messages as they lie in their lists, each with what it was made of."""
REFUSED, SETTLED, UNREADABLE, NOT_HELD, OUTDONE = range(5)
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
        answers = yield from self._commit([(one, ()) for one in commitments], raws, now)
        places = list(range(len(commitments)))
        while held := [place for place in places if isinstance(answers[place], list)]:
            places = yield from self._end(commitments, answers, held, raws, now)
        return tuple(map(_answer, commitments, answers))

    def _end(
        self,
        commitments: Sequence[Commitment],
        answers: list[Any],
        held: list[int],
        raws: Mapping[Receipt, bytes],
        now: float,
    ) -> Verb[list[int]]:
        """Send what follows from those whose outcome and seat are written, and end them. Answers the places of those
        that were outdone: a second copy of the member was quicker, on a Celery worker. They have taken their seats
        again."""
        left = []
        for place in held:
            left.append((yield from self._set_free(commitments[place], answers[place])))
        ended = yield from self._commit(left, raws, now)
        outdone = [place for place, answer in zip(held, ended, strict=True) if answer == OUTDONE]
        for place, answer in zip(held, ended, strict=True):
            answers[place] = answers[place] if answer == SETTLED else answer
        again = [(replace(commitments[place], record=None), ()) for place in outdone]
        for place, answer in zip(outdone, (yield from self._commit(again, raws, now)), strict=True):
            answers[place] = answer
        return outdone

    def _set_free(self, commitment: Commitment, found: list[Any]) -> Verb[Left]:
        """Write what is said of others, and answer what is left: to send what follows, and to end the delivery."""
        records, follow, over = list(commitment.also), list(commitment.follow), list[str]()
        seats: tuple[Seat, ...] = () if commitment.seat is None else (commitment.seat,)
        answers = tuple(joined(seat, found) for seat in seats)
        if any(one.claimed for one in answers):
            return waiting(commitment), ()
        while seats:
            released = [answered(seat, one) for seat, one in zip(seats, answers, strict=True)]
            records += [record for one in released for record in one.records]
            follow += [posting for one in released for posting in one.follow]
            over += [seat.join for seat, one in zip(seats, released, strict=True) if one != NOTHING]
            seats = tuple(seat for one in released for seat in one.seats)
            answers = yield from self._store.arrive(seats)
        # Each is fenced by itself: what is refused has ended otherwise, and nothing hangs on it.
        yield from self._store.store(tuple(records))
        return replace(commitment, record=None, seat=None, also=(), follow=tuple(follow)), tuple(over)

    def commit_and_claim(
        self,
        commitments: Sequence[Commitment],
        raws: Mapping[Receipt, bytes],
        now: float,
        asking: Sequence[str | bytes | int],
    ) -> Verb[tuple[tuple[Committed | Stale, ...], list[Any], Posted]]:
        """As `commit`, and what `taking.lua` answers to `asking`; for a batch that is one run of the script. Last: the
        messages that were in it, by the place by which the answer names them."""
        calls: list[Call] = []
        told: list[Told] = []
        # A seat may be the last of its join, which Celery's workers share: what follows it is another run.
        if not any(commitment.seat or commitment.also for commitment in commitments):
            told = yield from self._tell([(one, ()) for one in commitments], raws, now)
            calls = self._calls(told, "")
        if len(calls) != 1:
            return (yield from self.commit(commitments, raws, now)), [], {}
        values = calls[0][1]
        values[TAKES_AT] = len(asking)
        posted = _posted(values, commitments)
        (answers,) = yield from run(script("commit"), [([], [*values, *asking])])
        taken = self._left_by(answers)
        yield from self._clear_up(commitments, told, answers)
        return tuple(map(_answer, commitments, answers)), taken, posted

    def _commit(self, these: Sequence[Left], raws: Mapping[Receipt, bytes], now: float) -> Verb[list[Any]]:
        told = yield from self._tell(these, raws, now)
        answers = yield from self._run(told, "")
        yield from self._clear_up([commitment for commitment, _ in these], told, answers)
        return answers

    def _tell(self, these: Sequence[Left], raws: Mapping[Receipt, bytes], now: float) -> Verb[list[Told]]:
        """What the script is told of these, when all is ready for what follows them."""
        follow = [posting for commitment, _ in these for posting in commitment.follow]
        if follow:
            yield from self._desk.introduce({posting.queue for posting in follow})
            yield from opened(self._results, begun(follow))
        return [self._told(one, over, raws.get(one.receipt, b""), now) for one, over in these]

    def _clear_up(self, commitments: Sequence[Commitment], told: Sequence[Told], answers: list[Any]) -> Verb[None]:
        for _ in range(ACQUITTALS):
            unclear = [place for place, answer in enumerate(answers) if answer == UNREADABLE]
            if not unclear:
                break
            yield from self._judge(commitments, told, answers, unclear)

    def _told(self, commitment: Commitment, over: tuple[str, ...], raw: bytes, now: float) -> Told:
        session, _, field = commitment.receipt.partition(" ")
        record, verdict = commitment.record, commitment.verdict
        may_have_one = verdict is not Verdict.RELEASE and (len(raw) > envelope.LONG or b'"once":' in raw)
        door = envelope.once(raw) if may_have_one else None
        seat, also = commitment.seat, commitment.also
        if verdict is Verdict.ACK and door is None and not (commitment.follow or seat or also or over):
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
        out += ("",) * 6 if seat is None else (self._results.join(seat.join), *seat_values(seat))
        out.append(int(bool(also) or (seat is not None and seat.failed)))
        out += (len(over), *map(self._results.join, over))
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

    def _run(self, told: Sequence[Told], acquitted: str) -> Verb[list[Any]]:
        answers = yield from run(script("commit"), self._calls(told, acquitted))
        for answer in answers:
            self._left_by(answer)  # nothing was taken: nothing was asked for
        return [one for answer in answers for one in answer]

    def _left_by(self, answers: list[Any]) -> list[Any]:
        """Take off what stands behind the answers for deliveries; answers what was taken."""
        if answers.pop():
            self._channels.close("publish")
        taken: list[Any] = answers.pop()
        return taken

    def _calls(self, told: Sequence[Told], acquitted: str) -> list[Call]:
        """One for each session, and for so many deliveries; plain outcomes in one are kept equally long."""
        calls: list[Call] = []
        session, keep, room = "", None, 0
        values: Values = []
        for owner, milliseconds, words in told:
            if not room or owner != session or (milliseconds is not None and keep not in (None, milliseconds)):
                session, keep, room = owner, None, AT_ONCE
                before, after = self._results.around
                head = (self._names.prefix, "1" if self._channels.open else "0", acquitted, session, before, after, 0)
                values = [*head, self._store.in_order, self._store.remembered, 0]
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


def _posted(values: Values, commitments: Sequence[Commitment]) -> Posted:
    """Messages of computed ids among the values of a run, by their places there as scripts count them: from 1."""
    follow = {posting.id: posting for commitment in commitments for posting in commitment.follow}
    return {
        place + 3: (values[place + 2], follow[name])
        for place, value in enumerate(values[:-4])
        if value == "?" and (name := str(values[place + 4])) in follow
    }


def _answer(commitment: Commitment, answer: Any) -> Committed | Stale:
    seat = commitment.seat
    if isinstance(answer, list):
        return DONE if seat is None else Committed(joined(seat, answer))
    if answer == SETTLED:
        if seat is None:
            return DONE
        still_open = Joined(join=seat.join, complete=False)
        answered(seat, still_open)  # as every driver asks; of an open join nothing follows
        return Committed(still_open)
    return NOT_OURS if answer == NOT_HELD else FENCED
