"""Handing messages over, and giving them back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from leveret.errors import LeaseLost
from leveret.links.redis import envelope
from leveret.links.redis.envelope import Place
from leveret.links.redis.names import Names, Ticket, read_field, suspects_of, write_receipt
from leveret.links.redis.scripts import Call, Value, Verb, ask, good, run, script
from leveret.logic.remote.marks import of_headers
from leveret.model.delivery import Claim, Delivery, Posting, Receipt, SessionId

AT_MOST = 1000
"""Messages in one claim."""
BACK_AT_ONCE = 100
NOBODYS: Mapping[bytes, Posting] = {}

Taken = list[tuple[Receipt, str, bytes]]
"""What was handed over: its receipt, the list it lay in, and the message."""
Held = list[tuple[Ticket, bytes]]
"""The same of what a session has: which place."""


def claim(names: Names, request: Claim, *, rests: bool) -> Verb[tuple[Taken, bool]]:
    """Answer what is taken, and whether anything at all was ever revoked."""
    answer = yield from ask("claim", names.prefix, *asking(names, request, rests=rests))
    if answer[0] == b"gone":
        raise LeaseLost(f"session {request.session} is not registered, or was reaped")
    return taken(request, answer)


def asking(names: Names, request: Claim, *, rests: bool) -> tuple[Value, ...]:
    """What `taking.lua` reads."""
    queues = names.turned(served(request.queues, request.suspects), request.number)
    steps = ("",) if request.suspects else names.suffixes
    credit, resting = min(request.credit, AT_MOST), "1" if rests else "0"
    return (request.session, request.number, credit, resting, len(queues), *queues, *steps)


def taken(request: Claim, answer: list[Any]) -> tuple[Taken, bool]:
    """What `taking.lua` answers."""
    kind = answer[0] if answer else b""
    if kind == b"new":
        return _taken(request, answer), bool(answer[2])
    if kind == b"same":
        return _again(request.session, answer), True
    return [], False


def served(queues: Iterable[str], suspects: bool) -> list[str]:
    """The queues as scripts know them."""
    names = dict.fromkeys(queues)
    return [suspects_of(name) for name in names] if suspects else list(names)


def _taken(request: Claim, answer: list[Any]) -> Taken:
    session, claim, place = request.session, request.number, answer[1]
    taken: Taken = []
    for at in range(3, len(answer), 2):
        name = answer[at].decode()
        for raw in answer[at + 1]:
            place += 1
            # `write_receipt`, of whose parts nobody asks here.
            taken.append((Receipt(f"{session} {place}-{claim} {name}"), name, raw))
    return taken


def _again(session: SessionId, answer: list[Any]) -> Taken:
    base, count = int(answer[1]), int(answer[2])
    held = [(read_field(session, field), raw) for field, raw in zip(answer[3::2], answer[4::2], strict=True)]
    return receipts(sorted((one for one in held if base < one[0].number <= base + count), key=_number))


def receipts(held: Held) -> Taken:
    """What a session has, as if it had just got it."""
    return [(write_receipt(*ticket), ticket.list, raw) for ticket, raw in held]


def deliveries(names: Names, taken: Taken, known: Mapping[bytes, Posting] = NOBODYS) -> list[Delivery]:
    """`known`: messages whose contents this process has just written."""
    found = []
    name, place = "", Place.of("")
    for receipt, where, raw in taken:
        if known and raw in known:
            found.append(envelope.delivered(known[raw], receipt, names))
            continue
        if where != name:
            name = where
            place = Place.of(name)
        found.append(envelope.deliver(raw, receipt, place, names))
    return found


def with_revoked(names: Names, found: Sequence[Delivery]) -> Verb[list[Delivery]]:
    """Mark what was revoked while it waited: by its id, its group or a stamp."""
    marks = [of_headers(delivery.encoded.headers) for delivery in found]
    if not marks:
        return list(found)
    answers = yield [("ZMSCORE", names.key("leveret:revoked"), *own) for own in marks]
    return [
        replace(delivery, revoked=True) if any(score is not None for score in good(scores)) else delivery
        for delivery, scores in zip(found, answers, strict=True)
    ]


class Back:
    """One delivery on its way back: where it was, what it is from now on, where it goes, and when."""

    __slots__ = ("delay", "list", "raw", "ticket")

    def __init__(self, ticket: Ticket, raw: bytes, list: str | None = None, delay: float = 0.0) -> None:
        self.ticket, self.raw, self.delay = ticket, raw, delay
        self.list = ticket.list if list is None else list


def give_back(names: Names, back: Iterable[Back]) -> Verb[int]:
    """Answer how many went back; the others are not held any more."""
    # To the front, the youngest first: so the oldest is the next to go.
    ordered = sorted(back, key=lambda one: one.ticket.number, reverse=True)
    calls: list[Call] = []
    for start in range(0, len(ordered), BACK_AT_ONCE):
        values: list[Value] = [names.prefix]
        for one in ordered[start : start + BACK_AT_ONCE]:
            values += (one.ticket.session, one.ticket.field, one.raw, one.list, wait(one.delay))
        calls.append(([], values))
    answers = yield from run(script("back"), calls)
    return sum(sum(answer) for answer in answers)


def wait(seconds: float) -> str:
    """As scripts read it."""
    return repr(float(seconds)) if seconds > 0 else ""


def held(names: Names, session: str, but: Iterable[Receipt]) -> Verb[Held]:
    """What a session holds, without those receipts."""
    kept = frozenset(but)
    answers = yield [("HKEYS", names.held(session))]
    tickets = [read_field(SessionId(session), field) for field in good(answers[0])]
    tickets = [one for one in tickets if write_receipt(*one) not in kept]
    if not tickets:
        return []
    answers = yield [("HMGET", names.held(session), *(ticket.field for ticket in tickets))]
    found = [(ticket, raw) for ticket, raw in zip(tickets, good(answers[0]), strict=True) if raw is not None]
    return sorted(found, key=_number)


def _number(one: tuple[Ticket, bytes]) -> int:
    return one[0].number
