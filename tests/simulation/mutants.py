"""Eleven bugs that a task queue could have, planted one at a time into the real parts. The simulation must see each."""

from collections import Counter
from typing import Any

import msgspec

from leveret.links.memory.nodes import Lease, Nodes
from leveret.links.memory.queues import Row
from leveret.logic.delivery import Facts, Run
from leveret.model.delivery import Charge, Claim, Posting, Receipt
from leveret.model.settlement import Joined
from leveret.model.state import SUCCESS
from leveret.testing.simulation.server import WatchedMessages, WatchedRecords, WatchedServer
from leveret.testing.simulation.variant import Variant
from leveret.worker.steps import FourSteps, _last_step

# ack before store


async def acknowledge_first(self, commitments, *, settled=False):
    if not settled:
        last = tuple(map(_last_step, commitments))
        await self._persist("settle", lambda: self._broker.settle(last))
    return await HONEST_STEPS(self, commitments, settled=True)


HONEST_STEPS = FourSteps.commit

# no token check


class AnyToken(WatchedMessages):
    """Whoever once held a message may settle it, whoever holds it now."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._given: dict[Receipt, Row] = {}

    def _hand_over(self, row, holding):
        delivery = super()._hand_over(row, holding)
        self._given[delivery.receipt] = row
        return delivery

    def holds(self, receipt):
        row = self._given.get(receipt)
        return row is not None and row in self._live.get(row.posting.id, ())

    def _let_go(self, receipt):
        row = self._given[receipt]
        return super()._let_go(row.receipt) if row.receipt else row


class ServerWithAnyToken(WatchedServer):
    messages_class = AnyToken


# lease renewed after reaping


class Undead(WatchedMessages):
    """What a reaped session held can be made its own again, though it has been handed to others."""

    def revive(self, session, held):
        self.open(session)
        living = {r: row for r, row in held.items() if row in self._live.get(row.posting.id, ())}
        self._holdings[session.id].held.update(living)
        self._owners.update(living)

    def _let_go(self, receipt):
        row = self._owners.pop(receipt)
        for holding in self._holdings.values():
            holding.held.pop(receipt, None)
        if row.receipt == receipt:
            row.receipt = row.session = None
        return row

    def _drop(self, row):
        if row in self._live.get(row.posting.id, ()):
            super()._drop(row)


class RenewingNodes(Nodes):
    _messages: Undead

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._graves: dict[tuple[str, str], list[Any]] = {}

    def _lose(self, lease: Lease, now: float) -> int:
        holdings = [self._messages._holdings[s] for s in lease.sessions if s in self._messages._holdings]
        grave = [(holding.session, dict(holding.held)) for holding in holdings]
        self._graves[lease.node.name, lease.node.incarnation] = grave
        return super()._lose(lease, now)

    def beat(self, node, now):
        for session, held in self._graves.pop((node.name, node.incarnation), ()):
            self._renew(node, now).sessions.append(session.id)
            self._messages.revive(session, held)
        return super().beat(node, now)


class ServerThatRenews(WatchedServer):
    messages_class = Undead
    nodes_class = RenewingNodes


# seat counted twice


class CountedSeats(WatchedRecords):
    """A join is complete after as many arrivals as it has seats, whoever arrived."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._arrivals = Counter()

    def arrive(self, seat, now):
        joined = super().arrive(seat, now)
        self._arrivals[seat.join] += 1
        if joined.complete or self._arrivals[seat.join] < seat.size:
            return joined
        values = self._joins[seat.join].values
        early = Joined(join=seat.join, complete=True, values=tuple(values[i] for i in sorted(values)))
        self.history.joined(early)
        return early


class ServerThatCounts(WatchedServer):
    records_class = CountedSeats


# give-back charged as a crash


class ServerThatCharges(WatchedServer):
    def give_back(self, returns):
        for back in returns:
            self.messages.charge(back.receipt, Charge(reason="signal 9", at=self.clock.now()))
        super().give_back(returns)


# lost reply not reconciled


class Forgetful:
    """A reply that is lost is asked for under a new number, and nobody compares who holds what."""

    def __init__(self, port: Any) -> None:
        self._port, self._number = port, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    async def claim(self, claim: Claim) -> Any:
        self._number += 1
        return await self._port.claim(msgspec.structs.replace(claim, number=self._number))

    async def reconcile(self, session: Any, held: Any) -> tuple[()]:
        return ()


# expired task run


def ignoring_expiry(admit):
    def mutant(delivery, message, *rest):
        admission = admit(delivery, msgspec.structs.replace(message, expires=None), *rest)
        return Run(message) if isinstance(admission, Run) else admission

    return mutant


# fence in the last step


class Unfenced(WatchedRecords):
    """Whoever comes last overwrites; only the receipt is checked, when the delivery is settled."""

    def refuses(self, record):
        return False


class UnfencedServer(WatchedServer):
    records_class = Unfenced


# replay of successes only


def replaying_successes(admit):
    def mutant(delivery, message, facts, *rest):
        stored = facts.stored
        known = facts if stored is None or stored.state == SUCCESS else Facts()
        return admit(delivery, message, known, *rest)

    return mutant


# retry published twice


class OpenDoor(WatchedMessages):
    """The door knows ids of new tasks only."""

    def _is_copy(self, posting: Posting) -> bool:
        return posting.attempt == 0 and super()._is_copy(posting)


class ServerWithOpenDoor(WatchedServer):
    messages_class = OpenDoor


MUTANTS = [
    Variant(name="ack before store", patches=((FourSteps, "commit", acknowledge_first),)),
    Variant(name="no token check", server=ServerWithAnyToken),
    Variant(name="lease renewed after reaping", server=ServerThatRenews),
    Variant(name="seat counted twice", server=ServerThatCounts),
    Variant(name="mark before publish", marks_first=True),
    Variant(name="give-back charged as a crash", server=ServerThatCharges),
    Variant(name="lost reply not reconciled", broker=Forgetful, leases=Forgetful),
    Variant(name="expired task run", admit=ignoring_expiry),
    Variant(name="fence in the last step", server=UnfencedServer),
    Variant(name="replay of successes only", admit=replaying_successes),
    Variant(name="retry published twice", server=ServerWithOpenDoor),
]
