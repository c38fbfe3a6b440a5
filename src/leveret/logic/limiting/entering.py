"""One run at the gate: it gets in by all of its bounds or by none; and out again."""

from typing import NamedTuple, assert_never

from leveret.logic.limiting import breaker, pace, slots, unique
from leveret.logic.limiting.book import Book
from leveret.logic.limiting.states import (
    BreakerState,
    BudgetState,
    Full,
    KeyState,
    PaceState,
    Room,
    SlotState,
    Standing,
    Verdict,
    named,
)
from leveret.model.limiting.gate import (
    Answer,
    Bound,
    BreakerBound,
    BudgetBound,
    Entry,
    Exit,
    Open,
    Passed,
    RateBound,
    Reason,
    SlotBound,
    Superseded,
    UniqueBound,
    Wait,
)

BUDGET, SLOTS, BREAKER, UNIQUE = "budget", "slots", "breaker", "unique"


class Asked(NamedTuple):
    """A bound, and what it says."""

    bound: Bound
    standing: Standing
    verdict: Verdict


def enter(book: Book, entry: Entry, session: str, now: float) -> Answer:
    """Ask every bound; then take what it needs of all, or nothing."""
    if by := _superseded(book, entry, now):
        _drop(book, entry)
        return Superseded(by=by)
    if _holds_all(book, entry, session):
        return Passed()
    asked = [_ask(book, bound, entry, session, now) for bound in entry.bounds if _applies(bound, entry)]
    full = [one for one in asked if isinstance(one.verdict, Full)]
    if full:
        return _wait(book, entry, asked, full, now)
    _take(book, entry, asked, session, now)
    return Passed()


def _applies(bound: Bound, entry: Entry) -> bool:
    return not isinstance(bound, UniqueBound) and (entry.attempt > 0 or not isinstance(bound, BudgetBound))


def _superseded(book: Book, entry: Entry, now: float) -> str:
    for bound in entry.bounds:
        if isinstance(bound, UniqueBound):
            state = book.state(UNIQUE, bound.key, KeyState)
            if by := unique.stops(bound, state, entry, now):
                return by
    return ""


def _holds_all(book: Book, entry: Entry, session: str) -> bool:
    """Whether it has passed already, and its asker did not hear of it: only a slot can tell."""
    mine = [book.holders(bound.key).session(entry.id) for bound in entry.bounds if isinstance(bound, SlotBound)]
    return bool(mine) and all(holder == session for holder in mine)


def _ask(book: Book, bound: Bound, entry: Entry, session: str, now: float) -> Asked:
    standing = book.line(bound).standing(entry.id, now)
    match bound:
        case RateBound():
            verdict = pace.ask_rate(bound, book.state("rate", bound.key, PaceState) or PaceState(), standing, now)
        case BudgetBound():
            budget = book.state(BUDGET, bound.key, BudgetState) or BudgetState()
            verdict = pace.ask_budget(bound, budget, standing, now)
        case SlotBound():
            verdict = _ask_slot(book, bound, entry, standing, now)
        case BreakerBound():
            state = book.state(BREAKER, bound.key, BreakerState) or BreakerState()
            verdict = breaker.ask_breaker(bound, state, standing, (entry, session), book.alive, now)
        case UniqueBound():
            raise AssertionError("asked before")
        case other:
            assert_never(other)
    return Asked(bound, standing, verdict)


def _ask_slot(book: Book, bound: SlotBound, entry: Entry, standing: Standing, now: float) -> Verdict:
    holders = book.holders(bound.key)
    state = book.state(SLOTS, bound.key, SlotState) or SlotState()
    held = holders.count()
    if holders.session(entry.id) is not None:
        return Room()
    if held >= bound.slots and slots.may_look(state, now):
        dead = [holder for holder, session in holders.all().items() if not book.alive(session)]
        for holder in dead:
            holders.free(holder)
        held -= len(dead)
        state = slots.looked(state, bool(dead), now)
        book.put(SLOTS, bound.key, state)
    return slots.ask_slot(bound, state, standing, held, now)


def _wait(book: Book, entry: Entry, asked: list[Asked], full: list[Asked], now: float) -> Wait | Open:
    """It joins the lines it has to; in others where it stands it is not expected before."""
    told = max(full, key=_until)
    until = _until(told)
    for one in asked:
        if isinstance(one.verdict, Full) or one.standing.member:
            book.line(one.bound).join(entry.id, until)
    _let_go(book, entry)
    kind = named(told.bound)
    book.note(
        Reason(id=entry.id, bound=kind, key=told.bound.key, until=until, at=now, ahead=told.standing.ahead),
    )
    for one in full:
        if isinstance(one.bound, BreakerBound):
            return Open(seconds=until - now, key=one.bound.key)
    return Wait(seconds=until - now, bound=kind, key=told.bound.key)


def _until(asked: Asked) -> float:
    assert isinstance(asked.verdict, Full)
    return asked.verdict.until


def _let_go(book: Book, entry: Entry) -> None:
    """Who waits holds nothing: what it held was of a session that is over, or that lost it."""
    for bound in entry.bounds:
        match bound:
            case SlotBound(key=key):
                book.holders(key).free(entry.id)
            case BreakerBound(key=key):
                state = book.state(BREAKER, key, BreakerState)
                if state is not None and state.probe == entry.id:
                    book.put(BREAKER, key, breaker.unprobed(state, entry.id))
            case _:
                continue


def _take(book: Book, entry: Entry, asked: list[Asked], session: str, now: float) -> None:
    waited = False
    for one in asked:
        assert isinstance(one.verdict, Room)
        if isinstance(one.bound, SlotBound):
            book.holders(one.bound.key).hold(entry.id, session)
        if one.verdict.after is not None:
            book.put(named(one.bound), one.bound.key, one.verdict.after)
        if one.standing.member:
            waited = book.line(one.bound).quit(entry.id)
    for bound in entry.bounds:
        if isinstance(bound, UniqueBound):
            state = book.state(UNIQUE, bound.key, KeyState)
            book.put(UNIQUE, bound.key, unique.begun(bound, state, entry, session, now))
    if waited:
        book.forget(entry.id)


def _drop(book: Book, entry: Entry) -> None:
    """It will never run: it waits nowhere and holds nothing."""
    for bound in entry.bounds:
        book.line(bound).quit(entry.id)
    _let_go(book, entry)
    book.forget(entry.id)


def leave(book: Book, over: Exit, session: str, now: float) -> None:
    """Free what a run held, and note its outcome."""
    waited = False
    for bound in over.bounds:
        match bound:
            case SlotBound(key=key):
                holders = book.holders(key)
                # Another session may have it by now: then it is that one's to free.
                if holders.session(over.id) == session:
                    holders.free(over.id)
                    state = book.state(SLOTS, key, SlotState) or SlotState()
                    book.put(SLOTS, key, slots.freed(state, over.seconds, now))
            case BreakerBound(key=key):
                known = book.state(BREAKER, key, BreakerState) or BreakerState()
                after = breaker.noted(bound, known, over, now)
                if after != known:
                    book.put(BREAKER, key, after if after != BreakerState() else None)
            case UniqueBound(key=key):
                book.put(UNIQUE, key, unique.ended(book.state(UNIQUE, key, KeyState), over, session))
            case RateBound() | BudgetBound():
                pass
            case other:
                assert_never(other)
        # Of what has run nothing waits.
        if over.outcome == "none":
            waited = book.line(bound).quit(over.id) or waited
    if waited:
        book.forget(over.id)


def succeed(book: Book, key: str, count: int, now: float) -> None:
    """Runs of a budget's key have succeeded."""
    state = book.state(BUDGET, key, BudgetState) or BudgetState()
    book.put(BUDGET, key, pace.succeeded(state, count, now))
