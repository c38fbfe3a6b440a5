"""Which parts a run is made of; the planted bugs of `tests/simulation/mutants.py` replace some of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from leveret.logic import delivery as decisions
from leveret.logic.delivery import Admission, Skip
from leveret.model.message import Message
from leveret.model.settlement import Seat, Settlement
from leveret.model.state import SUCCESS
from leveret.testing.simulation.server import WatchedServer
from leveret.testing.simulation.work import JOIN_SIZE
from leveret.worker import commitments, intake

Wrap = Callable[[Any], Any]


def unchanged(part: Any) -> Any:
    return part


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The real parts, unless a mutant says otherwise."""

    name: str = "as shipped"
    server: type[WatchedServer] = WatchedServer
    leases: Wrap = unchanged
    """Around the worker's `Leases` port."""
    backend: Wrap = unchanged
    broker: Wrap = unchanged
    admit: Wrap = unchanged
    patches: tuple[tuple[Any, str, Any], ...] = ()
    """(class, attribute, replacement) for the length of a run."""
    marks_first: bool = False
    """The scheduler notes a moment as fired before it has published it."""
    calm: bool = False
    """No faults, no killers, no deploys."""
    seats: bool = True
    """Whether some tasks are members of a join without a body; False where messages bring chords of their own."""
    fused: bool | None = None
    """Whether settlements are one transaction; None: the seed decides."""


@contextmanager
def in_force(variant: Variant) -> Iterator[None]:
    """Put a variant's parts, and the seats of joins, into the worker's code."""
    changes = [
        (intake, "admit", variant.admit(seated_admit if variant.seats else decisions.admit)),
        (commitments, "conclude", seated_conclude if variant.seats else decisions.conclude),
        *variant.patches,
    ]
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, replacement in changes:
        setattr(owner, name, replacement)
    try:
        yield
    finally:
        for owner, name, original in reversed(originals):
            setattr(owner, name, original)


# Joins by themselves: these members have seats, and no body waits for them.


def seated_conclude(message: Message, *facts: Any) -> Settlement:
    settlement = decisions.conclude(message, *facts)
    succeeded = settlement.record is not None and settlement.record.state == SUCCESS
    return _seated(message, settlement) if succeeded else settlement


def seated_admit(delivery: Any, message: Message, facts: Any, *rest: Any) -> Admission:
    admission = decisions.admit(delivery, message, facts, *rest)
    stored = facts.stored
    if isinstance(admission, Skip) and stored is not None and stored.state == SUCCESS:
        return Skip(_seated(message, admission.settlement))
    return admission


def _seated(message: Message, settlement: Settlement) -> Settlement:
    if message.group is None or message.group_index is None:
        return settlement
    value = b'"value of %s"' % message.id.encode()
    seat = Seat(join=message.group, index=message.group_index, size=JOIN_SIZE, value=value)
    return msgspec.structs.replace(settlement, seat=seat)
