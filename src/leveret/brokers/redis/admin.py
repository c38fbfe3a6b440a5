"""What an operator asks of Redis. People ask, so these may read a lot; never so much at once that workers wait."""

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from leveret.brokers.redis.endings import read_letter
from leveret.brokers.redis.looking.tracing import delayed, sample, trace
from leveret.brokers.redis.publishing import AT_ONCE, Desk
from leveret.links.redis import envelope
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import LANE, Names, is_suspect, queue_of, read_field, suspects_of
from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.scripts import Verb, ask, good
from leveret.model.delivery import DeadLetter, Place, QueueCounts, SessionId, Whereabouts
from leveret.model.node import Session

_READ_SESSION: Callable[[bytes], Session] = msgspec.json.Decoder(Session).decode
PURGE_STEP = 500
SCAN_STEP = 500


class RedisAdmin:
    """`ports.admin.Admin`."""

    def __init__(self, hubs: Hubs, desk: Desk, results: Verbs) -> None:
        self._hubs, self._desk, self._names, self._results = hubs, desk, desk.names, results

    async def declare(self, queues: tuple[str, ...]) -> None:
        await self._hubs.own().perform(self._desk.introduce(queues))

    async def counts(self, queues: tuple[str, ...] = ()) -> tuple[QueueCounts, ...]:
        return await self._hubs.own().perform(count(self._names, queues))

    async def find(self, ids: tuple[str, ...]) -> tuple[Whereabouts | None, ...]:
        found = await self._hubs.own().perform(find(self._names, ids))
        return tuple(map(found.get, ids))

    async def trace(self, id: str, depth: int) -> Whereabouts | None:
        return await self._hubs.own().perform(trace(self._names, id, depth))

    async def sample(self, limit: int) -> tuple[tuple[str, str], ...]:
        return await self._hubs.own().perform(sample(self._names, limit))

    async def delayed(self, queues: tuple[str, ...], limit: int) -> tuple[Whereabouts, ...]:
        return await self._hubs.own().perform(delayed(self._names, frozenset(queues), limit))

    async def purge(self, queues: tuple[str, ...]) -> int:
        """In steps, so that workers of other queues go on."""
        gone, hub = 0, self._hubs.own()
        for queue in queues:
            for name in self._names.lists(queue):
                while step := await hub.perform(purge_lanes(self._names, name)):
                    gone += step
            for name in (*self._names.lists(queue), suspects_of(queue)):
                while step := await hub.perform(purge_list(self._names, name)):
                    gone += step
            gone += await hub.perform(purge_delayed(self._names, queue))
        return gone

    async def dead(self, queue: str | None = None, limit: int = 100) -> tuple[DeadLetter, ...]:
        return await self._hubs.own().perform(dead(self._names, queue, limit))

    async def redrive(self, ids: tuple[str, ...]) -> int:
        sent, hub = 0, self._hubs.own()
        for name in ids:
            sent += await hub.perform(redrive(self._names, self._results.keys, name))
        return sent

    async def bury(self, ids: tuple[str, ...]) -> int:
        return await self._hubs.own().perform(bury(self._names, ids))


def count(names: Names, queues: Sequence[str]) -> Verb[tuple[QueueCounts, ...]]:
    answers = yield [
        ("SMEMBERS", names.key("leveret:queues")),
        ("HGETALL", names.key("leveret:delayed:counts")),
        ("ZRANGE", names.key("leveret:dead"), 0, -1),
        ("HKEYS", names.key("leveret:sessions")),
        ("HGETALL", names.key("leveret:lanes")),
    ]
    known, delayed, letters, sessions, lanes = map(good, answers)
    in_lanes = {name.decode(): int(number) for name, number in _pairs(lanes)}
    wanted = tuple(queues) or tuple(sorted(name.decode() for name in known))
    claimed = yield from _claimed(names, [one.decode() for one in sessions])
    parked = yield from _parked(names, letters)
    waiting = {name.decode(): int(number) for name, number in _pairs(delayed)}
    found = []
    for queue in wanted:
        lists = [*names.lists(queue), suspects_of(queue)]
        answers = yield [
            *(("LLEN", names.key(name)) for name in lists),
            *(("LINDEX", names.key(name), -1) for name in lists),
        ]
        lengths, heads = map(good, answers[: len(lists)]), map(good, answers[len(lists) :])
        ages = [sent for raw in heads if raw is not None and (sent := _sent(raw)) is not None]
        for name in in_lanes.keys() & lists:
            ages += yield from _ages(names, name)
        found.append(
            QueueCounts(
                queue=queue,
                ready=sum(lengths) + sum(in_lanes.get(name, 0) for name in lists),
                delayed=waiting.get(queue, 0) + waiting.get(suspects_of(queue), 0),
                claimed=claimed[queue],
                dead=parked[queue],
                oldest=min(ages, default=None),
            )
        )
    return tuple(found)


def _claimed(names: Names, sessions: Sequence[str]) -> Verb[Counter[str]]:
    """How many messages of each queue are held: the receipts say where they came from."""
    counted: Counter[str] = Counter()
    if sessions:
        answers = yield [("HKEYS", names.held(session)) for session in sessions]
        for fields in map(good, answers):
            counted.update(queue_of(read_field(SessionId(""), field).list) for field in fields)
    return counted


def _parked(names: Names, ids: Sequence[bytes]) -> Verb[Counter[str]]:
    counted: Counter[str] = Counter()
    for start in range(0, len(ids), SCAN_STEP):
        answers = yield [("HMGET", names.key("leveret:dead:letters"), *ids[start : start + SCAN_STEP])]
        counted.update(read_letter(letter).queue for letter in good(answers[0]) if letter is not None)
    return counted


def _ages(names: Names, name: str) -> Verb[list[float]]:
    """When the first message of each lane was sent."""
    answers = yield [("LRANGE", names.key(f"leveret:turns:{name}"), 0, -1)]
    lanes = [lane.decode() for lane in good(answers[0]) if lane]
    ages: list[float] = []
    for start in range(0, len(lanes), SCAN_STEP):
        answers = yield [("LINDEX", names.key(lane), -1) for lane in lanes[start : start + SCAN_STEP]]
        ages += [sent for raw in map(good, answers) if raw is not None and (sent := _sent(raw)) is not None]
    return ages


def _sent(raw: bytes) -> float | None:
    found = envelope.read(raw)
    return None if found is None else found.properties.timestamp


def _id(raw: bytes) -> str | None:
    found = envelope.read(raw)
    name = None if found is None else found.headers.get("id")
    return name if isinstance(name, str) else None


def find(names: Names, ids: Sequence[str]) -> Verb[dict[str, Whereabouts]]:
    wanted, found = frozenset(ids), {}
    answers = yield [("HGETALL", names.key("leveret:sessions"))]
    sessions = {name.decode(): facts for name, facts in _pairs(good(answers[0]))}
    for session, facts in sessions.items():
        answers = yield [("HGETALL", names.held(session))]
        for field, raw in _pairs(good(answers[0])):
            if (name := _id(raw)) in wanted:
                queue = queue_of(read_field(SessionId(session), field).list)
                found[name] = Whereabouts(place=Place.CLAIMED, queue=queue, node=_READ_SESSION(facts).node)
    found |= yield from _find_delayed(names, wanted - found.keys())
    letters = [name for name in ids if name not in found]
    if letters:
        answers = yield [("HMGET", names.key("leveret:dead:letters"), *letters)]
        for name, raw in zip(letters, good(answers[0]), strict=True):
            if raw is not None:
                letter = read_letter(raw)
                found[name] = Whereabouts(place=Place.DEAD, queue=letter.queue, reason=letter.reason)
    return found


def _find_delayed(names: Names, wanted: frozenset[str]) -> Verb[dict[str, Whereabouts]]:
    found: dict[str, Whereabouts] = {}
    cursor = b"0"
    while wanted:
        answers = yield [("HSCAN", names.key("leveret:delayed:messages"), cursor, "COUNT", SCAN_STEP)]
        cursor, flat = good(answers[0])
        for member, raw in zip(flat[::2], flat[1::2], strict=True):
            if (name := _id(raw)) in wanted:
                scores = yield [("ZSCORE", names.key("leveret:delayed"), member)]
                due = good(scores[0])
                queue = queue_of(read_field(SessionId(""), member).list)
                found[name] = Whereabouts(place=Place.DELAYED, queue=queue, due=None if due is None else float(due))
        if cursor == b"0":
            break
    return found


def purge_list(names: Names, name: str) -> Verb[int]:
    answers = yield [("RPOP", names.key(name), PURGE_STEP)]
    raws = good(answers[0]) or []
    yield from _open_doors(names, raws)
    return len(raws)


def purge_lanes(names: Names, name: str) -> Verb[int]:
    raws: list[bytes] = yield from ask("unlane", names.prefix, name, PURGE_STEP)
    yield from _open_doors(names, raws)
    return len(raws)


def purge_delayed(names: Names, queue: str) -> Verb[int]:
    """One queue's of all that are delayed: the others stay where they are."""
    gone, cursor = 0, b"0"
    while True:
        answers = yield [("HSCAN", names.key("leveret:delayed:messages"), cursor, "COUNT", SCAN_STEP)]
        cursor, flat = good(answers[0])
        pairs = zip(flat[::2], flat[1::2], strict=True)
        ours = [(member, raw) for member, raw in pairs if queue_of(read_field(SessionId(""), member).list) == queue]
        if ours:
            members = [member for member, _ in ours]
            gone += yield from ask("undelay", names.prefix, queue, *members)
            yield from _open_doors(names, [raw for _, raw in ours])
        if cursor == b"0":
            return gone


def _open_doors(names: Names, raws: Sequence[bytes]) -> Verb[None]:
    doors = [door for raw in raws if (door := envelope.once(raw)) is not None]
    if doors:
        answers = yield [("DEL", *(names.key(f"leveret:door:{name}") for name, _ in doors))]
        good(answers[0])


def dead(names: Names, queue: str | None, limit: int) -> Verb[tuple[DeadLetter, ...]]:
    found: list[DeadLetter] = []
    start = 0
    while len(found) < limit:
        step = min(SCAN_STEP, max(limit - len(found), 1))
        answers = yield [("ZRANGE", names.key("leveret:dead"), start, start + step - 1, "REV")]
        ids = good(answers[0])
        if not ids:
            break
        start += len(ids)
        answers = yield [("HMGET", names.key("leveret:dead:letters"), *ids)]
        for name, raw in zip(ids, good(answers[0]), strict=True):
            letter = None if raw is None else read_letter(raw)
            if letter is not None and queue in (None, letter.queue):
                found.append(letter.open(name.decode(), names))
    return tuple(found)


def redrive(names: Names, results: Keys, id: str) -> Verb[int]:
    """Send a dead letter to its queue again, charges cleared. What was stored of its first life would refuse the
    outcome of the second: it goes."""
    answers = yield [("HGET", names.key("leveret:dead:letters"), id)]
    raw = good(answers[0])
    if raw is None:
        return 0
    letter = read_letter(raw)
    again = envelope.anew(letter.raw)
    door = envelope.once(again)
    # A suspect waits apart: without its past it is a message like others.
    name = letter.list
    if is_suspect(name):
        name, lane = names.list(letter.queue, envelope.priority(again)), envelope.lane(again)
        name += f"{LANE}{lane}" if lane else ""
    task = _id(letter.raw) or id
    values = (id, name, again, *(door or ("", 0)), results.document(task), results.facts(task))
    sent: int = yield from ask("redrive", names.prefix, *values)
    return sent


def bury(names: Names, ids: Sequence[str]) -> Verb[int]:
    gone = 0
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        answers = yield [
            ("HDEL", names.key("leveret:dead:letters"), *part),
            ("ZREM", names.key("leveret:dead"), *part),
        ]
        gone += good(answers[0])
    return gone


def _pairs(answer: object) -> list[tuple[bytes, bytes]]:
    """A hash as RESP 3 answers it, or flat."""
    if isinstance(answer, dict):
        return list(answer.items())
    assert isinstance(answer, list)
    return list(zip(answer[::2], answer[1::2], strict=True))
