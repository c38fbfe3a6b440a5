"""Where one message is, for somebody who asks why it does not run: everything is looked through, in steps."""

from collections.abc import Callable, Sequence

import msgspec

from leveret.brokers.redis.endings import read_letter
from leveret.links.redis import envelope
from leveret.links.redis.names import Names, queue_of, read_field, suspects_of
from leveret.links.redis.scripts import Verb, good
from leveret.model.delivery import Place, SessionId, Whereabouts
from leveret.model.node import Session

_READ_SESSION: Callable[[bytes], Session] = msgspec.json.Decoder(Session).decode
STEP = 500
MOST_DELAYED = 20_000
"""How many delayed messages are looked through for those of some queues."""


def trace(names: Names, id: str, depth: int) -> Verb[Whereabouts | None]:
    for look in (_held, _delayed, _dead):
        found = yield from look(names, id)
        if found is not None:
            return found
    return (yield from _ready(names, id, depth)) if depth else None


def _held(names: Names, id: str) -> Verb[Whereabouts | None]:
    answers = yield [("HGETALL", names.key("leveret:sessions"))]
    for name, facts in pairs(good(answers[0])):
        session = name.decode()
        answers = yield [("HGETALL", names.held(session))]
        for field, raw in pairs(good(answers[0])):
            if is_of(raw, id):
                queue = queue_of(read_field(SessionId(session), field).list)
                return _whereabouts(names, Place.CLAIMED, queue, raw, node=_READ_SESSION(facts).node)
    return None


def _delayed(names: Names, id: str) -> Verb[Whereabouts | None]:
    cursor = b"0"
    while True:
        answers = yield [("HSCAN", names.key("leveret:delayed:messages"), cursor, "COUNT", STEP)]
        cursor, flat = good(answers[0])
        for member, raw in zip(flat[::2], flat[1::2], strict=True):
            if is_of(raw, id):
                scores = yield [("ZSCORE", names.key("leveret:delayed"), member)]
                due = good(scores[0])
                queue = queue_of(read_field(SessionId(""), member).list)
                return _whereabouts(names, Place.DELAYED, queue, raw, due=None if due is None else float(due))
        if cursor == b"0":
            return None


def _dead(names: Names, id: str) -> Verb[Whereabouts | None]:
    answers = yield [("HGET", names.key("leveret:dead:letters"), id)]
    raw = good(answers[0])
    if raw is None:
        return None
    letter = read_letter(raw)
    known = letter.open(id, names)
    return Whereabouts(
        place=Place.DEAD, queue=letter.queue, reason=letter.reason, since=letter.at, encoded=known.encoded,
        charges=letter.charges,
    )  # fmt: skip


def _ready(names: Names, id: str, depth: int) -> Verb[Whereabouts | None]:
    answers = yield [("SMEMBERS", names.key("leveret:queues"))]
    for queue in sorted(name.decode() for name in good(answers[0])):
        found = yield from _ready_in(names, queue, (*names.lists(queue), suspects_of(queue)), id, depth)
        if found is not None:
            return found
    return None


def _ready_in(names: Names, queue: str, lists: Sequence[str], id: str, depth: int) -> Verb[Whereabouts | None]:
    """The most urgent list comes first, and of each the end that claims take from."""
    before = 0
    for name in lists:
        start = 0
        while before < depth:
            answers = yield [("LRANGE", names.key(name), -start - STEP, -start - 1)]
            raws = good(answers[0])
            for raw in reversed(raws):
                if is_of(raw, id):
                    return _whereabouts(names, Place.READY, queue, raw, ahead=before)
                before += 1
            start += STEP
            if len(raws) < STEP:
                break
    return None


def sample(names: Names, limit: int) -> Verb[tuple[tuple[str, str], ...]]:
    """Some of each queue's ready messages, and some of those that are delayed."""
    answers = yield [("SMEMBERS", names.key("leveret:queues"))]
    queues = sorted(name.decode() for name in good(answers[0]))
    share = max(1, limit // (len(queues) + 1))
    found: list[tuple[str, str]] = []
    for queue in queues:
        answers = yield [("LRANGE", names.key(name), -share, -1) for name in names.lists(queue)]
        found += [(queue, _task(raw)) for raws in map(good, answers) for raw in raws]
    answers = yield [("HSCAN", names.key("leveret:delayed:messages"), 0, "COUNT", share)]
    flat = good(answers[0])[1]
    for member, raw in zip(flat[::2], flat[1::2], strict=True):
        found.append((queue_of(read_field(SessionId(""), member).list), _task(raw)))
    return tuple(found)


def delayed(names: Names, queues: frozenset[str], limit: int) -> Verb[tuple[Whereabouts, ...]]:
    """In the order in which they are due. Bounded: a million of other queues may be due earlier."""
    found: list[Whereabouts] = []
    for start in range(0, MOST_DELAYED, STEP):
        answers = yield [("ZRANGE", names.key("leveret:delayed"), start, start + STEP - 1)]
        members = good(answers[0])
        wanted = [(one, queue) for one in members if (queue := queue_of(read_field(SessionId(""), one).list)) in queues]
        wanted = wanted[: limit - len(found)]
        if wanted:
            fields = [member for member, _ in wanted]
            answers = yield [
                ("HMGET", names.key("leveret:delayed:messages"), *fields),
                *(("ZSCORE", names.key("leveret:delayed"), field) for field in fields),
            ]
            raws, *scores = map(good, answers)
            for (_, queue), raw, due in zip(wanted, raws, scores, strict=True):
                # Promoted meanwhile, it is delayed no more.
                if raw is not None and due is not None:
                    found.append(_whereabouts(names, Place.DELAYED, queue, raw, due=float(due)))
        if len(found) >= limit or len(members) < STEP:
            break
    return tuple(found)


def _task(raw: bytes) -> str:
    found = envelope.read(raw)
    return "?" if found is None else str(found.headers.get("task", "?"))


def is_of(raw: bytes, id: str) -> bool:
    """Most are told apart without being read."""
    if id.encode() not in raw:
        return False
    found = envelope.read(raw)
    return found is not None and found.headers.get("id") == id


def _whereabouts(names: Names, place: Place, queue: str, raw: bytes, **more: object) -> Whereabouts:
    found = envelope.read(raw)
    past = None if found is None else found.leveret
    return Whereabouts(
        place=place,
        queue=queue,
        encoded=envelope.encoded(found, raw, names),
        charges=() if past is None else past.charges,
        **more,  # type: ignore[arg-type] # fields of Whereabouts, named by the callers above
    )


def pairs(answer: object) -> list[tuple[bytes, bytes]]:
    """A hash as RESP 3 answers it, or flat."""
    if isinstance(answer, dict):
        return list(answer.items())
    assert isinstance(answer, list)
    return list(zip(answer[::2], answer[1::2], strict=True))
