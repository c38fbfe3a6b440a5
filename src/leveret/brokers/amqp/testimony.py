"""What a node knows of its own deaths, where the broker has no memory for it.

The supervisor writes it, and tells every worker process before the broker hears of the death; a process looks here
before it hands over anything that comes a second time. The last ten thousand messages are remembered.
"""

from collections import OrderedDict

from leveret.model.delivery import Charge
from leveret.model.node import Testimony

MOST = 10_000


class Book:
    """Charges and suspicion by message id."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Testimony] = OrderedDict()
        self.has_suspects = False
        """Whether anything was ever suspected here."""

    def add(self, testimonies: tuple[Testimony, ...]) -> None:
        for told in testimonies:
            before = self._known.pop(told.id, None)
            charges = merged(before.charges if before else (), told.charges)
            # A charge says who did it: what is convicted is not merely suspected any more.
            suspect = told.suspect or (before is not None and before.suspect)
            self.has_suspects = self.has_suspects or told.suspect
            self._known[told.id] = Testimony(id=told.id, charges=charges, suspect=suspect, held_by=told.held_by)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def about(self, id: str) -> Testimony | None:
        return self._known.get(id)

    def held_by(self, session: str) -> tuple[str, ...]:
        """What is said to run in that session."""
        return tuple(told.id for told in self._known.values() if told.held_by == session)

    def all(self) -> tuple[Testimony, ...]:
        """Everything, for a process that is new."""
        return tuple(self._known.values())

    def __bool__(self) -> bool:
        return bool(self._known)


def merged(one: tuple[Charge, ...], other: tuple[Charge, ...]) -> tuple[Charge, ...]:
    """All charges of both, each death once."""
    known = {charge.session for charge in one}
    return one + tuple(charge for charge in other if charge.session not in known)
