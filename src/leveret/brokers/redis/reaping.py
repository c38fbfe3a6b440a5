"""The end of sessions: who is charged, who becomes suspect, what goes back.

Each step may be done by anybody, and again: a session takes nothing from the first one on, and every message goes back
on its own, if it is still held.
"""

from collections.abc import Callable, Mapping

import msgspec

from leveret.brokers.redis import claims
from leveret.brokers.redis.claims import Back
from leveret.links.redis import envelope
from leveret.links.redis.names import Names, Ticket, queue_of, read_field, suspects_of, write_receipt
from leveret.links.redis.scripts import Verb, ask, good
from leveret.model.delivery import Charge, Receipt, SessionId
from leveret.model.node import Session

NODE_LOST = "node lost"
_READ_SESSION: Callable[[bytes], Session] = msgspec.json.Decoder(Session).decode
FEW = 50
"""Messages rewritten at once: a node's end must not hold up the loop that does it."""


def end_session(
    names: Names,
    session: str,
    now: float,
    *,
    charges: Mapping[Receipt, Charge],
    suspect_others: bool,
    lost: bool = False,
) -> Verb[int]:
    """Give back what a session holds, the charges first, and forget it; answers how many went back. `lost`: it
    vanished, and what a quarantine held, it held alone: that is convicted.

    The work may have begun, so the next delivery counts one more: `admit` then looks for an outcome that was stored
    before the end.
    """
    answer = yield from ask("shut", names.prefix, session)
    if not answer:
        return 0
    facts = _READ_SESSION(answer[0])
    if lost and facts.quarantine:
        charge: Charge | None = Charge(reason=NODE_LOST, at=now, session=session)
    else:
        charge = None
    back = [
        _back(ticket, raw, charges.get(write_receipt(*ticket), charge), facts, suspect_others)
        for ticket, raw in _held(session, answer)
    ]
    gone = 0
    # The youngest first, as `give_back` has it for each part.
    for start in range(0, len(back), FEW):
        gone += yield from claims.give_back(names, back[start : start + FEW])
    yield from ask("close", names.prefix, session, facts.incarnation)
    return gone


def _held(session: str, answer: list[bytes]) -> list[tuple[Ticket, bytes]]:
    pairs = zip(answer[1::2], answer[2::2], strict=True)
    held = [(read_field(SessionId(session), field), raw) for field, raw in pairs]
    return sorted(held, key=lambda one: one[0].number, reverse=True)


def _back(ticket: Ticket, raw: bytes, charge: Charge | None, session: Session, suspect_others: bool) -> Back:
    # Convicted in quarantine: it is run nowhere else until it ends.
    suspect = session.quarantine if charge is not None else suspect_others
    target = suspects_of(queue_of(ticket.list)) if suspect else ticket.list
    return Back(ticket, envelope.changed(raw, counted=True, charge=charge), target)


def lose_session(names: Names, session: str, now: float) -> Verb[int]:
    """End a session that vanished: what it held becomes suspect, or is convicted where it was held alone."""
    return (yield from end_session(names, session, now, charges={}, suspect_others=True, lost=True))


def lose_node(names: Names, incarnation: str, now: float) -> Verb[int]:
    """End a node whose lease has run out, if it still has."""
    gone = 0
    for session in (yield from ask("lose", names.prefix, incarnation, "0")):
        gone += yield from lose_session(names, session.decode(), now)
    return gone


def leave(names: Names, incarnation: str, now: float) -> Verb[None]:
    """A node that stops in order: what it held goes back uncharged."""
    for session in (yield from ask("lose", names.prefix, incarnation, "1")):
        yield from end_session(names, session.decode(), now, charges={}, suspect_others=False)


def sessions_of(names: Names, incarnation: str) -> Verb[list[Session]]:
    answers = yield [("SMEMBERS", names.key(f"leveret:node:{incarnation}"))]
    return (yield from sessions(names, [one.decode() for one in good(answers[0])]))


def sessions(names: Names, ids: list[str]) -> Verb[list[Session]]:
    """The facts of sessions, without those that are gone."""
    if not ids:
        return []
    answers = yield [("HMGET", names.key("leveret:sessions"), *ids)]
    return [_READ_SESSION(facts) for facts in good(answers[0]) if facts is not None]


def orphan(names: Names, session: str) -> Verb[None]:
    """A session without a supervisor: its process may finish what it runs, for a while, by the server's clock."""
    answers = yield [("TIME",)]
    seconds, microseconds = map(int, good(answers[0]))
    yield [("ZADD", names.key("leveret:orphans"), "NX", f"{seconds}.{microseconds:06}", session)]


def drop(names: Names, incarnation: str) -> Verb[None]:
    """Forget a node; its sessions are dealt with."""
    yield [
        ("ZREM", names.key("leveret:leases"), incarnation),
        ("HDEL", names.key("leveret:nodes"), incarnation),
        ("DEL", names.key(f"leveret:node:{incarnation}")),
    ]
