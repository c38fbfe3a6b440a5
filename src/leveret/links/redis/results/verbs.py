"""What a result store does, written once for both pumps."""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha1
from typing import Any

from leveret.links.redis.results.records import Keys, arguments, read
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Call, Value, Verb, good, run, script
from leveret.logic.wire.foreign import status_of
from leveret.model.delivery import Posting
from leveret.model.message import Addition, Header
from leveret.model.options import DriverOptions
from leveret.model.settlement import ANY_PLACE, Joined, Record, Seat
from leveret.model.state import READY_STATES, REVOKED

AT_ONCE = 256
"""Records in one run of a script: Redis serves nobody else meanwhile (2 ms)."""
LOOKED_UP = 500
"""Ids in one MGET."""
ACQUITTALS = 3
"""How often a document that only Python can read may be replaced while we read it."""


class Verbs:
    """Every verb of one store; holds nothing but names. `apart`: no command may be about two tasks, as in a cluster,
    where each has a slot of its own."""

    def __init__(
        self, keys: Keys, options: DriverOptions, channels: Channels, now: Callable[[], float], *, apart: bool = False
    ) -> None:
        self._at_once, self._looked_up = (1, 1) if apart else (AT_ONCE, LOOKED_UP)
        self.keys = keys
        self._options = options
        self._channels = channels
        self._now = now
        self.in_order = "1" if options.result_transport.get("result_chord_ordered", True) else "0"
        """Celery's option says how the values of a join are kept: in a sorted set, or in a list as they come."""
        self.remembered = max(int(options.tombstone_expires * 1000), 1)
        """Milliseconds for which a join that is over is known to be so."""
        self.revoked_key = ""
        """Where the ids of what was revoked are noted, if the broker is here too: a claim looks there."""

    def get(self, ids: Sequence[str]) -> Verb[tuple[Record | None, ...]]:
        if not ids:
            return ()
        parts = [ids[start : start + self._looked_up] for start in range(0, len(ids), self._looked_up)]
        answers = yield [self.keys.look(part) for part in parts]
        return tuple(
            read(name, (values[2 * place], values[2 * place + 1]))
            for part, values in zip(parts, map(good, answers), strict=True)
            for place, name in enumerate(part)
        )

    def look(self, ids: Sequence[str]) -> Verb[list[bytes | None]]:
        """Document and facts of each, as `Watch.saw` takes them; one command for each."""
        answers = yield [self.keys.look((name,)) for name in ids]
        return [value for answer in map(good, answers) for value in answer]

    def forget(self, ids: Sequence[str]) -> Verb[None]:
        if ids:
            step = self._looked_up
            parts = [ids[start : start + step] for start in range(0, len(ids), step)]
            answers = yield [("DEL", *self.keys.pairs(part)) for part in parts]
            for answer in answers:
                good(answer)

    def store(self, records: tuple[Record, ...]) -> Verb[tuple[bool, ...]]:
        yield from self._note_revoked(records)
        verdicts = yield from self._store(records, "")
        for _ in range(ACQUITTALS):
            unclear = [place for place, verdict in enumerate(verdicts) if verdict == UNREADABLE]
            if not unclear:
                break
            yield from self._judge(records, verdicts, unclear)
        return tuple(verdict == STORED for verdict in verdicts)

    def arrive(self, seats: tuple[Seat, ...]) -> Verb[tuple[Joined, ...]]:
        if not seats:
            return ()
        values: list[Value] = [self.in_order]
        for seat in seats:
            values += seat_values(seat)
        keys = [self.keys.join(seat.join) for seat in seats]
        answers = yield from run(script("arrive"), [(keys, values)])
        return tuple(map(joined, seats, answers[0]))

    def grow(self, additions: Sequence[Addition]) -> Verb[tuple[bool, ...]]:
        """`GrowsJoins.grow`."""
        told = [added(self.keys, addition) for addition in additions]
        values: list[Value] = [value for _, by, member in told for value in (by, member)]
        answers = yield from run(script("grow"), [([key for key, _, _ in told], values)])
        return tuple(answer == 1 for answer in answers[0])

    def opened(self, joins: Sequence[Header]) -> Verb[None]:
        """`SharedJoins.opened`."""
        return opened(self.keys, joins)

    def fired(self, joins: Sequence[str]) -> Verb[None]:
        """`SharedJoins.fired`."""
        yield from run(script("fired"), [(list(map(self.keys.join, joins)), [self.remembered])])

    def _note_revoked(self, records: Sequence[Record]) -> Verb[None]:
        revoked = [record.id for record in records if record.state == REVOKED] if self.revoked_key else []
        if revoked:
            until = self._now() + (self._options.result_expires or self._options.tombstone_expires)
            answers = yield [("ZADD", self.revoked_key, *(word for name in revoked for word in (until, name)))]
            good(answers[0])

    def _store(self, records: Sequence[Record], acquitted: str) -> Verb[list[int]]:
        keep = self._options.tombstone_expires
        calls: list[Call] = []
        for start in range(0, len(records), self._at_once):
            part = records[start : start + self._at_once]
            values: list[str | bytes | int] = ["1" if self._channels.open else "0", acquitted]
            for record in part:
                values += arguments(record, keep)
            calls.append((self.keys.pairs([record.id for record in part]), values))
        answers = yield from run(script("store"), calls)
        silent = [answer.pop() for answer in answers]
        if any(silent):
            self._channels.close("publish")
        return [verdict for answer in answers for verdict in answer]

    def _judge(self, records: Sequence[Record], verdicts: list[int], unclear: list[int]) -> Verb[None]:
        """Documents in a format that scripts cannot read: read them here, and store what they do not refuse."""
        answers = yield [("MGET", self.keys.document(records[place].id)) for place in unclear]
        acquitted: dict[int, str] = {}
        for place, (document,) in zip(unclear, map(good, answers), strict=True):
            if document is not None and status_of(document) in READY_STATES:
                verdicts[place] = REFUSED
            else:
                acquitted[place] = sha1(document or b"").hexdigest()
        if acquitted:
            again = yield from self._store([records[place] for place in acquitted], " ".join(acquitted.values()))
            for place, verdict in zip(acquitted, again, strict=True):
                verdicts[place] = verdict


OPEN_SECONDS = 86_400
"""For which the size of a join is kept in which nobody has sat down; Celery's client keeps it as long."""
REFUSED, STORED, UNREADABLE = range(3)
"""What `store.lua` answers."""


def opened(keys: Keys, joins: Sequence[Header]) -> Verb[None]:
    """Tell Celery's workers how large joins are; whoever sits down here says so itself."""
    if joins:
        values: list[Value] = [OPEN_SECONDS * 1000, *(one.size for one in joins)]
        yield from run(script("opened"), [([keys.join(one.join) for one in joins], values)])


def begun(postings: Iterable[Posting]) -> list[Header]:
    """The joins whose headers begin with these."""
    return [header for posting in postings for header in posting.begins]


def seat_values(seat: Seat) -> tuple[str, str | int, int, bytes, int]:
    """What scripts are told of a seat; of one without a place what Celery writes."""
    return seat.id, "+inf" if seat.index == ANY_PLACE else seat.index, seat.size, seat.value, int(seat.failed)


def added(keys: Keys, addition: Addition) -> tuple[str, str, str]:
    """What `grow` in `joins.lua` is told: the join, the seat of whoever adds, and the member."""
    index = "+inf" if addition.by_index == ANY_PLACE else addition.by_index
    return keys.join(addition.join), f"{addition.by}:{index}", addition.member


def joined(seat: Seat, found: Sequence[Any]) -> Joined:
    """What `joins.lua` answers."""
    said = found[0]
    if len(found) > 1:
        return Joined(join=seat.join, complete=said == b"complete", values=tuple(found[2]), shape=found[1])
    return Joined(join=seat.join, complete=False, over=said == b"over", claimed=said == b"claimed")
