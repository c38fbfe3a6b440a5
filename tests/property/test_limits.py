"""What the rules of the limits promise, whatever is asked in whatever order."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leveret.links.memory.limits import Limits
from leveret.logic.limiting import entering, wishing
from leveret.logic.limiting.states import BreakerState, KeyState, PaceState
from leveret.model.limiting.gate import (
    Bound,
    BreakerBound,
    Entry,
    Exit,
    Open,
    Passed,
    RateBound,
    SlotBound,
    Superseded,
    UniqueBound,
    Wait,
    Wish,
)

START = 1_700_000_000.0
IDS = tuple(f"t{n}" for n in range(30))
SESSIONS = ("s1", "s2", "s3")
FAST = settings(max_examples=200)
gap = st.sampled_from((0.0, 0.0, 0.001, 0.01, 0.02, 0.05, 0.3, 1.0, 2.5))


def ask(book: Limits, name: str, *bounds: Bound, now: float, session: str = "s1", attempt: int = 0):
    return entering.enter(book, Entry(id=name, attempt=attempt, bounds=bounds), session, now)


def always(session: str) -> bool:
    return True


@FAST
@given(
    limit=st.integers(1, 30),
    burst=st.integers(1, 5),
    asks=st.lists(st.tuples(gap, st.sampled_from(IDS)), max_size=300),
)
def test_no_stretch_of_a_period_sees_more_than_limit_and_burst_starts(limit, burst, asks) -> None:
    bound, book, now, starts = RateBound("r", 1.0 / limit, burst), Limits(always), START, []

    for passing, name in asks:
        now += passing
        if isinstance(ask(book, name, bound, now=now), Passed):
            starts.append(now)

    for first in starts:
        assert sum(first <= start <= first + 1.0 for start in starts) <= limit + burst


@FAST
@given(
    interval=st.sampled_from((0.02, 0.4, 5.0)),
    burst=st.integers(1, 3),
    asks=st.lists(st.tuples(gap, st.sampled_from(IDS)), max_size=100),
)
def test_a_full_bucket_lets_anybody_pass_whoever_is_missing(interval, burst, asks) -> None:
    """Work is conserved: those who are due have for a while the first call on it, and no longer."""
    bound, book, now = RateBound("r", interval, burst), Limits(always), START
    for passing, name in asks:
        now += passing
        ask(book, name, bound, now=now)
    state = book.state("rate", "r", PaceState) or PaceState()

    now = max(now, state.full_at) + min(interval, 1.0)

    assert ask(book, "newcomer", bound, now=now) == Passed()


@FAST
@given(slots=st.integers(1, 4), data=st.data())
def test_never_more_hold_than_there_are_slots_and_a_free_one_is_taken(slots, data) -> None:
    bound, dead = SlotBound("c", slots), set[str]()
    book, now = Limits(lambda session: session not in dead), START
    running: dict[str, str] = {}
    steps = data.draw(
        st.lists(
            st.tuples(gap, st.sampled_from(("enter",) * 4 + ("leave", "leave", "die")), st.integers(0, 29)), max_size=80
        )
    )

    for number, (passing, verb, which) in enumerate(steps):
        now += passing
        name, session = IDS[which], f"{SESSIONS[which % 3]}-{len(dead)}"
        if verb == "enter":
            if isinstance(ask(book, name, bound, now=now, session=session), Passed):
                running[name] = session
        elif verb == "leave" and name in running:
            over = Exit(id=name, bounds=(bound,), outcome="success", seconds=0.1 * number)
            entering.leave(book, over, running.pop(name), now)
        elif verb == "die":
            dead |= {f"{one}-{len(dead)}" for one in SESSIONS}
            running = {name: where for name, where in running.items() if where not in dead}
        assert len(running) <= slots

    # Whoever is missing in line: after a second a slot that is free is anybody's.
    now += 1000.0
    assert isinstance(ask(book, "newcomer", bound, now=now, session="new"), Passed) == (len(running) < slots)


kinds = st.sampled_from((RateBound("r", 3.0), SlotBound("c", 1), BreakerBound("b", 1, 60.0, 30.0)))


@FAST
@given(
    bounds=st.lists(kinds, min_size=1, max_size=3, unique_by=type).map(tuple),
    before=st.lists(st.sampled_from(IDS[:5]), max_size=8),
    broken=st.booleans(),
)
def test_who_must_wait_has_taken_nothing_and_asking_again_changes_nothing(bounds, before, broken) -> None:
    book = Limits(always)
    if broken:
        entering.leave(book, Exit(id="f", bounds=bounds, outcome="failure"), "s1", START)
    for name in before:
        ask(book, name, *bounds, now=START)
    rate, holders = book.state("rate", "r", PaceState), dict(book.holders("c").all())

    first = ask(book, "x", *bounds, now=START, session="s2")
    if isinstance(first, Passed):
        return

    assert isinstance(first, Wait | Open)
    assert first.seconds > 0
    assert ask(book, "x", *bounds, now=START, session="s2") == first
    assert ask(book, "x", *bounds, now=START, session="s3") == first
    assert (rate, holders) == (book.state("rate", "r", PaceState), book.holders("c").all())
    reason = book.reason("x")
    assert reason is not None
    assert math.isclose(reason.until - reason.at, first.seconds)


@FAST
@given(
    steps=st.lists(
        st.tuples(
            gap, st.sampled_from(IDS[:6]), st.sampled_from(("enter", "enter", "success", "failure", "none", "die"))
        ),
        max_size=60,
    )
)
def test_of_an_open_breaker_one_alone_probes(steps) -> None:
    bound, dead = BreakerBound("b", 2, 10.0, 1.0), set[str]()
    book, now = Limits(lambda session: session not in dead), START
    probing: set[str] = set()
    session = "s0"

    for passing, name, verb in steps:
        now += passing
        state = book.state("breaker", "b", BreakerState) or BreakerState()
        if verb == "enter":
            if isinstance(ask(book, name, bound, now=now, session=session), Passed) and state.until:
                assert now >= state.until
                probing.add(name)
        elif verb == "die":
            dead.add(session)
            session = f"s{len(dead)}"
            probing.clear()
        else:
            entering.leave(book, Exit(id=name, bounds=(bound,), outcome=verb), session, now)
            probing.discard(name)
        if not (book.state("breaker", "b", BreakerState) or BreakerState()).until:
            probing.clear()
        assert len(probing) <= 1


@FAST
@given(
    steps=st.lists(
        st.tuples(
            gap,
            st.sampled_from(IDS[:4]),
            st.sampled_from(("wish", "wish", "replace", "sent", "unsent", "enter", "enter", "over")),
        ),
        max_size=60,
    )
)
def test_a_unique_key_has_one_holder_and_only_that_one_runs(steps) -> None:
    bound, book, now = UniqueBound("u"), Limits(always), START
    running: set[str] = set()

    for passing, name, verb in steps:
        now += passing
        wished = Wish(key="u", id=name, seconds=10_000.0, replace=verb == "replace")
        before = book.state("unique", "u", KeyState)
        match verb:
            case "wish" | "replace":
                grant = wishing.wish(book, wished, 5.0, now)
                assert grant.won == (grant.id == name)
                if not grant.won:
                    assert before is not None
                    assert before.id == grant.id
                # Nothing is taken from what runs.
                assert grant.won is False or not running - {name}
            case "sent":
                wishing.sent(book, wished, now)
            case "unsent":
                wishing.unsent(book, wished)
            case "enter":
                answer = ask(book, name, bound, now=now)
                assert isinstance(answer, Passed | Superseded)
                state = book.state("unique", "u", KeyState)
                if isinstance(answer, Passed) and state is not None and state.id == name:
                    running.add(name)
            case "over":
                entering.leave(book, Exit(id=name, bounds=(bound,), outcome="success"), "s1", now)
                running.discard(name)
        assert len(running) <= 1


@pytest.mark.parametrize(("slots", "seconds"), [(1, 2.0), (5, 1.0), (20, 0.3)])
def test_a_long_line_is_worked_off_at_nearly_full_speed_for_few_questions(slots: int, seconds: float) -> None:
    """Each comes 30 ms after the moment it was told."""
    bound, book, count = SlotBound("c", slots), Limits(always), 400
    events: list[tuple[float, str, str]] = [(START + n * 0.001, "ask", f"t{n:03}") for n in range(count)]
    asks, now = 0, START

    while events:
        events.sort()
        now, verb, name = events.pop(0)
        if verb == "end":
            entering.leave(book, Exit(id=name, bounds=(bound,), outcome="success", seconds=seconds), "s1", now)
            continue
        asks += 1
        answer = ask(book, name, bound, now=now)
        if isinstance(answer, Passed):
            events.append((now + seconds, "end", name))
        else:
            assert isinstance(answer, Wait)
            events.append((now + answer.seconds + 0.03, "ask", name))

    ideal = count * seconds / slots
    assert now - START < ideal * 1.35
    assert asks / count < 3 * math.log2(ideal / 0.1)
