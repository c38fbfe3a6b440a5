"""A line in memory."""

from bisect import bisect_left, insort

from leveret.logic.limiting.states import Standing, overdue


class MemoryLine:
    """`book.Line`. Places are found by bisection: a line may be long."""

    __slots__ = ("_came", "_members", "_next", "_told")

    def __init__(self) -> None:
        self._members: dict[str, tuple[int, float]] = {}
        """The number it got when it came, and what it was told."""
        self._came: list[int] = []
        self._told: list[tuple[float, str]] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._members)

    def over(self, now: float) -> bool:
        """Whether nobody is left in it who is expected."""
        return not self._told or overdue(self._told[-1][0], now)

    def standing(self, id: str, now: float) -> Standing:
        while self._told and overdue(self._told[0][0], now):
            self.quit(self._told[0][1])
        member = self._members.get(id)
        return Standing(
            ahead=len(self._came) if member is None else bisect_left(self._came, member[0]),
            member=member is not None,
            first=self._told[0][0] if self._told else None,
        )

    def join(self, id: str, until: float) -> None:
        member = self._members.get(id)
        if member is None:
            number, self._next = self._next, self._next + 1
            self._came.append(number)
        else:
            number = member[0]
            del self._told[bisect_left(self._told, (member[1], id))]
        self._members[id] = number, until
        insort(self._told, (until, id))

    def quit(self, id: str) -> bool:
        member = self._members.pop(id, None)
        if member is None:
            return False
        del self._came[bisect_left(self._came, member[0])]
        del self._told[bisect_left(self._told, (member[1], id))]
        return True
