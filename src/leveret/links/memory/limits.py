"""What one in-process server keeps of the cluster's limits."""

from collections.abc import Callable, Mapping

from leveret.logic.limiting import breaker, states
from leveret.logic.limiting.book import S
from leveret.logic.limiting.line import MemoryLine
from leveret.model.limiting.gate import Bound, BoundState, Reason

Name = tuple[str, str]
"""Kind of bound, and key."""


class Limits:
    """`logic.limiting.book.Book`. Touched under the server's lock only."""

    def __init__(self, alive: Callable[[str], bool]) -> None:
        self.alive = alive
        self._states: dict[Name, states.State] = {}
        self._lines: dict[Name, MemoryLine] = {}
        self._holders: dict[str, MemoryHolders] = {}
        self._reasons: dict[str, Reason] = {}

    def state(self, kind: str, key: str, of: type[S]) -> S | None:
        found = self._states.get((kind, key))
        return found if isinstance(found, of) else None

    def put(self, kind: str, key: str, state: states.State | None) -> None:
        if state is None:
            self._states.pop((kind, key), None)
        else:
            self._states[kind, key] = state

    def line(self, bound: Bound) -> MemoryLine:
        name = states.named(bound), bound.key
        line = self._lines.get(name)
        if line is None:
            line = self._lines[name] = MemoryLine()
        return line

    def holders(self, key: str) -> "MemoryHolders":
        holders = self._holders.get(key)
        if holders is None:
            holders = self._holders[key] = MemoryHolders()
        return holders

    def note(self, reason: Reason) -> None:
        self._reasons[reason.id] = reason

    def forget(self, id: str) -> None:
        self._reasons.pop(id, None)

    # For people

    def reason(self, id: str) -> Reason | None:
        return self._reasons.get(id)

    def shown(self, limit: int, now: float) -> tuple[BoundState, ...]:
        open_ = {name for name, state in self._states.items() if isinstance(state, states.BreakerState) and state.until}
        holding = {("slots", key) for key, holders in self._holders.items() if holders.count()}
        waiting = {name for name, line in self._lines.items() if len(line)}
        found = sorted(self._shown(name, now) for name in open_ | holding | waiting)
        return tuple(state for _, state in found[:limit])

    def _shown(self, name: Name, now: float) -> tuple[tuple[int, str, str], BoundState]:
        kind, key = name
        line, state = self._lines.get(name), self._states.get(name)
        waiting = len(line) if line is not None else 0
        holders = self._holders.get(key) if kind == "slots" else None
        cut = state if isinstance(state, states.BreakerState) else None
        shown = BoundState(
            bound=kind,
            key=key,
            waiting=waiting,
            held=holders.count() if holders else 0,
            state=breaker.shown(cut or states.BreakerState(), now) if kind == "breaker" else "",
            until=cut.until if cut is not None and cut.until > now else None,
        )
        return (-waiting, kind, key), shown

    # Upkeep

    def prune(self, now: float) -> None:
        """Forget what would be the same if it had never been: full buckets, empty lines, keys whose time is over."""
        over = [name for name, state in self._states.items() if states.kept_until(state) <= now]
        for name in over:
            del self._states[name]
        self._lines = {name: line for name, line in self._lines.items() if not line.over(now)}
        self._holders = {key: holders for key, holders in self._holders.items() if holders.count()}
        self._reasons = {key: reason for key, reason in self._reasons.items() if not states.overdue(reason.until, now)}


class MemoryHolders:
    """`book.Holders`."""

    __slots__ = ("_sessions",)

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}

    def count(self) -> int:
        return len(self._sessions)

    def session(self, id: str) -> str | None:
        return self._sessions.get(id)

    def all(self) -> Mapping[str, str]:
        return self._sessions

    def hold(self, id: str, session: str) -> None:
        self._sessions[id] = session

    def free(self, id: str) -> None:
        self._sessions.pop(id, None)
