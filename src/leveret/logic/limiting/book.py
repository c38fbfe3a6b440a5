"""What the rules read and write, within one transaction of a store."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from leveret.logic.limiting.states import Standing, State
from leveret.model.limiting.gate import Bound, Reason

S = TypeVar("S", bound=State)


class Line(Protocol):
    """Who waits at one key, in the order of coming."""

    def standing(self, id: str, now: float) -> Standing:
        """Without those who are overdue, who leave it for good."""
        ...

    def join(self, id: str, until: float) -> None:
        """Told to ask again then; who is in line keeps its place."""
        ...

    def quit(self, id: str) -> bool:
        """Whether it was there."""
        ...


class Holders(Protocol):
    """Who holds the slots of one key."""

    def count(self) -> int: ...

    def session(self, id: str) -> str | None: ...

    def all(self) -> Mapping[str, str]:
        """Ids and their sessions."""
        ...

    def hold(self, id: str, session: str) -> None: ...

    def free(self, id: str) -> None: ...


class Book(Protocol):
    def state(self, kind: str, key: str, of: type[S]) -> S | None: ...

    def put(self, kind: str, key: str, state: State | None) -> None: ...

    def line(self, bound: Bound) -> Line: ...

    def holders(self, key: str) -> Holders: ...

    def alive(self, session: str) -> bool:
        """Whether it is registered, and not reaped."""
        ...

    def note(self, reason: Reason) -> None: ...

    def forget(self, id: str) -> None:
        """It does not wait any more."""
        ...
