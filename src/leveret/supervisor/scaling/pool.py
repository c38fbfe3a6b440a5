"""How many slots a node has, while it runs."""

from typing import Protocol

from msgspec.structs import replace

from leveret.errors import CallerError
from leveret.model.options import WorkerOptions
from leveret.supervisor.lease import LeaseKeeper
from leveret.supervisor.place import NodeParts, Place

BY_PROCESS = frozenset({"prefork", "processes"})
"""Pools with one slot in each process; the others have all slots in one."""


class Resizable(Protocol):
    """`Supervisor`, as far as it is resized."""

    places: list[Place]
    parts: NodeParts
    keeper: LeaseKeeper

    def add_place(self) -> None: ...


class Pool:
    """Used on the supervisor's loop only."""

    def __init__(self, supervisor: Resizable, options: WorkerOptions) -> None:
        self._supervisor, self._pool, self._slots = supervisor, options.pool, options.slots
        self._node = options.node

    @property
    def slots(self) -> int:
        """All of the node's."""
        return self._slots * len(self._open())

    def busy(self) -> int:
        """Slots that run something now."""
        return sum(_busy(place) for place in self._supervisor.places)

    async def resize(self, by: int) -> int:
        """Have `by` slots more (or fewer): with prefork by starting processes, or letting some end in their own time,
        the idle ones first; with other pools by replacing the one process. What runs is finished. Answers how many
        slots there are now; raises CallerError where that cannot be. A node that stops has none and starts none."""
        if not self._open():
            return 0  # the node is stopping
        wanted = self.slots + by
        if self._pool == "solo":
            raise CallerError("the solo pool has one slot")
        if wanted < 1:
            raise CallerError(f"a node has at least one slot, not {wanted}")
        # First, so that a new process does not announce the old number.
        parts = self._supervisor.parts
        node = parts.node = replace(parts.node or self._node, slots=wanted)
        if self._pool in BY_PROCESS:
            self._resize_processes(by)
        elif by:
            self._slots = wanted
            for place in self._open():
                place.resize(wanted, "resized")
        await self._supervisor.keeper.change(node)
        return self.slots

    def _resize_processes(self, by: int) -> None:
        for _ in range(by):
            self._supervisor.add_place()
        if by < 0:
            for place in sorted(self._open(), key=_busy)[:-by]:
                place.close(None, "the pool shrinks")

    def _open(self) -> list[Place]:
        return [place for place in self._supervisor.places if not place.closed]


def _busy(place: Place) -> int:
    return sum(len(child.page.view().running) for child in place.children())
