"""The limits' verbs on the wire of their scripts (`scripts/limits/`): one script for a batch."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from leveret.errors import LeaseLost
from leveret.links.redis.scripts import Call, Value, Verb, good, run, script
from leveret.logic.limiting.states import named
from leveret.model.limiting.gate import (
    Answer,
    Bound,
    BoundState,
    BreakerBound,
    BudgetBound,
    Entry,
    Exit,
    Grant,
    Open,
    Passed,
    RateBound,
    Reason,
    SlotBound,
    Superseded,
    UniqueBound,
    Wait,
    Wish,
)

PASSED = Passed()
AT_ONCE = 500
"""Entries in one script: Redis serves nobody else meanwhile."""
Bounds = tuple[Bound, ...]


class Sets:
    """The sets of bounds in one call: each is told once."""

    def __init__(self) -> None:
        self._bounds: dict[Bound, int] = {}
        self._sets: dict[Bounds, int] = {}
        self._same: dict[int, int] = {}
        """Mostly it is the very same tuple again: that need not be hashed."""

    def number(self, bounds: Bounds) -> int:
        found = self._same.get(id(bounds))
        if found is None:
            found = self._same[id(bounds)] = self._sets.setdefault(bounds, len(self._sets) + 1)
            for bound in bounds:
                self._bounds.setdefault(bound, len(self._bounds) + 1)
        return found

    def words(self) -> list[Value]:
        words: list[Value] = [len(self._bounds)]
        for bound in self._bounds:
            words += (named(bound), bound.key, *_numbers(bound))
        words.append(len(self._sets))
        for bounds in self._sets:
            words.append(len(bounds))
            words += [self._bounds[bound] for bound in bounds]
        return words


def _numbers(bound: Bound) -> tuple[Value, Value, Value]:
    match bound:
        case RateBound(interval=interval, burst=burst):
            return repr(interval), burst, 0
        case SlotBound(slots=slots):
            return slots, 0, 0
        case BreakerBound(failures=failures, within=within, recover=recover):
            return failures, repr(within), repr(recover)
        case BudgetBound(share=share, per_second=per_second):
            return repr(share), repr(per_second), 0
        case UniqueBound(until_start=until_start):
            return int(until_start), 0, 0


class LimitVerbs:
    """`sessions` is the hash that knows who is alive, without the prefix: the broker's, or the ledger's."""

    def __init__(self, prefix: str, sessions: str) -> None:
        self._prefix, self._sessions = prefix, sessions

    def enter(self, session: str, entries: Sequence[Entry]) -> Verb[tuple[Answer, ...]]:
        calls = [self._entering(session, entries[start : start + AT_ONCE]) for start in range(0, len(entries), AT_ONCE)]
        told = yield from run(script("limits/enter"), calls)
        if any(answers == b"gone" for answers in told):
            raise LeaseLost(f"session {session} is not registered, or was reaped")
        found: list[Answer] = []
        for number, answers in enumerate(told):
            if answers == 1:
                found += [PASSED] * min(AT_ONCE, len(entries) - number * AT_ONCE)
            else:
                found += [PASSED if answer == 1 else _answer(answer) for answer in answers]
        return tuple(found)

    def _entering(self, session: str, entries: Sequence[Entry]) -> Call:
        sets = Sets()
        words: list[Value] = []
        for key, group in groupby(entries, lambda entry: (sets.number(entry.bounds), int(entry.attempt > 0))):
            ids = [entry.id for entry in group]
            words += (*key, len(ids), *ids)
        return [], [self._prefix, self._sessions, session, *sets.words(), *words]

    def leave(self, session: str, exits: Sequence[Exit], succeeded: Mapping[str, int]) -> Verb[None]:
        telling = [over for over in exits if over.outcome == "none" or not _paced(over.bounds)]
        calls = [
            self._leaving(session, telling[start : start + AT_ONCE], {}) for start in range(0, len(telling), AT_ONCE)
        ]
        if succeeded:
            calls.append(self._leaving(session, (), succeeded))
        yield from run(script("limits/leave"), calls)

    def _leaving(self, session: str, exits: Sequence[Exit], succeeded: Mapping[str, int]) -> Call:
        sets = Sets()
        words: list[Value] = []
        groups = 0
        for key, group in groupby(exits, lambda over: (sets.number(over.bounds), over.outcome, int(over.final))):
            runs = [word for over in group for word in (over.id, repr(over.seconds))]
            words += (*key, len(runs) // 2, *runs)
            groups += 1
        for name, count in succeeded.items():
            words += (name, count)
        return [], [self._prefix, self._sessions, session, *sets.words(), groups, *words]

    # Unique keys

    def wish(self, wishes: Sequence[Wish], pending_seconds: float) -> Verb[tuple[Grant, ...]]:
        words: list[Value] = [self._prefix, self._sessions, repr(pending_seconds)]
        for wished in wishes:
            words += (wished.key, wished.id, repr(wished.seconds), int(wished.replace))
        (told,) = yield from run(script("limits/wish"), [([], words)])
        return tuple(Grant(id=by.decode(), won=bool(won), pending=bool(pending)) for by, won, pending in told)

    def sent(self, wishes: Sequence[Wish], *, out: bool) -> Verb[None]:
        words: list[Value] = [self._prefix, self._sessions, int(out)]
        for wished in wishes:
            words += (wished.key, wished.id, repr(wished.seconds))
        yield from run(script("limits/sent"), [([], words)])

    # For people

    def reasons(self, ids: Sequence[str]) -> Verb[tuple[Reason | None, ...]]:
        answers = yield [("MGET", *(f"{self._prefix}leveret:limit:why:{name}" for name in ids))]
        return tuple(_reason(name, facts) for name, facts in zip(ids, good(answers[0]), strict=True))

    def states(self, limit: int) -> Verb[tuple[BoundState, ...]]:
        answers = yield [("SMEMBERS", f"{self._prefix}leveret:limits"), ("TIME",)]
        names = [name.decode() for name in good(answers[0])]
        now = float(good(answers[1])[0]) + float(answers[1][1]) / 1e6
        if not names:
            return ()
        counts = yield [("ZCARD", f"{self._prefix}leveret:limit:line:{name}") for name in names]
        longest = sorted(zip(map(good, counts), names, strict=True), key=lambda one: (-one[0], one[1].partition(":")))
        found: list[BoundState] = []
        for start in range(0, len(longest), AT_ONCE):
            part = longest[start : start + AT_ONCE]
            facts = yield [self._look(name) for _, name in part]
            found += [
                state
                for (waiting, name), fact in zip(part, facts, strict=True)
                if (state := _state(name, waiting, good(fact), now)) is not None
            ]
            if len(found) >= limit:
                break
        return tuple(found[:limit])

    def _look(self, name: str) -> tuple[str, ...]:
        kind, own = name.partition(":")[0], f"{self._prefix}leveret:limit:{name}"
        return ("HLEN", own) if kind == "slots" else ("GET", own)


def _paced(bounds: Bounds) -> bool:
    """Whether there is nothing to tell of what has run."""
    return all(isinstance(bound, RateBound | BudgetBound) for bound in bounds)


def _answer(told: list[bytes]) -> Answer:
    if len(told) == 1:
        return Superseded(by=told[0].decode())
    what, seconds, kind, key = told
    if what == b"open":
        return Open(seconds=float(seconds), key=key.decode())
    return Wait(seconds=float(seconds), bound=kind.decode(), key=key.decode())


def _reason(name: str, facts: bytes | None) -> Reason | None:
    if facts is None:
        return None
    kind, until, at, ahead, key = facts.decode().split(" ", 4)
    return Reason(id=name, bound=kind, key=key, until=float(until), at=float(at), ahead=int(ahead))


def _state(name: str, waiting: int, fact: int | bytes | None, now: float) -> BoundState | None:
    """None: nothing stands behind it any more."""
    kind, _, key = name.partition(":")
    if kind == "slots":
        # One field is not a holder.
        held = max(int(fact or 0) - 1, 0)
        return BoundState(bound=kind, key=key, waiting=waiting, held=held) if waiting or held else None
    if kind == "breaker":
        until = float(fact.split(b" ", 1)[0]) if isinstance(fact, bytes) else 0.0
        if not until:
            return BoundState(bound=kind, key=key, waiting=waiting, state="closed") if waiting else None
        state = "open" if now < until else "half-open"
        return BoundState(bound=kind, key=key, waiting=waiting, state=state, until=until if now < until else None)
    return BoundState(bound=kind, key=key, waiting=waiting) if waiting else None
