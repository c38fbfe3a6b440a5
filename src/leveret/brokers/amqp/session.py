"""One session: what came over one connection is handed over here, with what is known of earlier deaths."""

import logging

import msgspec

from leveret.brokers.amqp.holdings import Held, Holdings, Orphans, run_of
from leveret.brokers.amqp.intake import Intake
from leveret.brokers.amqp.sidings import Sidings
from leveret.brokers.amqp.testimony import Book, merged
from leveret.errors import LeaseLost
from leveret.links.amqp import letters, names
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered
from leveret.model.delivery import Charge, Claim, Delivery, Receipt, SessionId
from leveret.model.node import Testimony
from leveret.model.options import CHARGES_TO_PARK
from leveret.ports.ledger import CLEAR, Ledger, Run

log = logging.getLogger("leveret.amqp")

ELSEWHERE_AT_ONCE = 200
"""Messages in one claim that go elsewhere: after the death of a process that ran many at once, a worker that waited for
the bell after each would bring them to the quarantine one a second."""
_UNKNOWN = Testimony(id="")
_HERE = "an earlier session of this process"


class Session:
    """Owned by the worker's loop. `ledger` is None in broker-only mode: then the node's own `book` is all there is."""

    def __init__(self, intake: Intake, holdings: Holdings, sidings: Sidings, book: Book, ledger: Ledger | None) -> None:
        self.intake, self.holdings = intake, holdings
        self._sidings, self._book, self._ledger = sidings, book, ledger
        self.quarantine = False
        self.orphans = Orphans()
        self._number = -1
        self._answer: tuple[Delivery, ...] = ()
        self._drawn: list[Delivery] = []
        """Handed over and not answered yet: the store did not say what it knows of them."""

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        intake, holdings = self.intake, self.holdings
        if claim.number == self._number:
            return tuple(delivery for delivery in self._answer if delivery.receipt in holdings.held)
        served = intake.topology.consumed(claim.queues)
        if not self.quarantine and served != intake.queues:
            await intake.serve(served)
        for _ in range(ELSEWHERE_AT_ONCE):
            taken, deliveries = await self._draw(claim)
            if deliveries or not taken:
                break
        self._number, self._answer = claim.number, deliveries
        return deliveries

    async def _draw(self, claim: Claim) -> tuple[bool, tuple[Delivery, ...]]:
        """Whether there was anything at all, and what of it is for this worker."""
        intake, holdings, taken = self.intake, self.holdings, bool(self._drawn)
        if not self._drawn:
            messages = await intake.take(claim)
            taken = bool(messages)
            for message in messages:
                delivery = self._hand_over(message)
                if delivery is not None:
                    self._drawn.append(delivery)
        deliveries = tuple(self._drawn)
        if self._ledger is not None and (deliveries or holdings.ended):
            deliveries = await self._consult(self._ledger, deliveries)
        if intake.error is not None:
            # Nobody has heard of these.
            for delivery in self._drawn:
                holdings.held.pop(delivery.receipt, None)
            raise LeaseLost(f"session {holdings.session} is no more: {intake.error}")
        self._drawn.clear()
        return taken, deliveries

    async def _consult(self, ledger: Ledger, drawn: tuple[Delivery, ...]) -> tuple[Delivery, ...]:
        """Take the runs in the ledger: a copy whose other is held by somebody alive waits on the ladder, and what its
        last holder did not survive is charged or suspected here. When the store does not answer, the claim is repeated
        with the same deliveries."""
        holdings = self.holdings
        ended = tuple(holdings.ended)
        runs = tuple(holdings.held[delivery.receipt].run for delivery in drawn)
        standings = await ledger.take(SessionId(holdings.session), runs, ended)
        del holdings.ended[: len(ended)]
        kept = []
        for delivery, standing in zip(drawn, standings, strict=True):
            judged: Delivery | None = delivery
            if standing is not CLEAR:
                told = Testimony(id="", charges=standing.charges, suspect=standing.suspect, held_by=standing.held_by)
                judged = self._judge(holdings.held[delivery.receipt], delivery, told)
            if judged is not None:
                kept.append(judged)
        return tuple(kept)

    def _hand_over(self, message: Delivered) -> Delivery | None:
        """None: it goes elsewhere, or is done."""
        intake, holdings = self.intake, self.holdings
        queue = intake.queue_of(message)
        try:
            encoded, facts, read = letters.read(message.properties, message.body)
        except ProtocolError as error:
            intake.spawn(self._sidings.park_unreadable(intake, message, queue, str(error)))
            return None
        run = run_of(encoded, read)
        again = message.redelivered or facts.again
        if again and run in holdings.done and run[0]:
            # It ended here, and the connection broke before the broker knew.
            intake.acknowledge((message.tag,))
            return None
        if self.quarantine:
            queue = facts.queue or queue.removeprefix(names.SUSPECT_PREFIX)
        receipt = Receipt(f"{holdings.prefix}/{message.tag}/{run[0]}")
        held = holdings.held[receipt] = Held(message.tag, run, queue, encoded, facts, read)
        delivery = Delivery(
            receipt=receipt,
            queue=queue,
            encoded=encoded,
            count=facts.count,
            redelivered=again,
            charges=facts.charges,
            suspect=facts.suspect,
        )
        told = self._told(run) if again else None
        if told is None and not facts.suspect:
            return delivery
        return self._judge(held, delivery, told or _UNKNOWN)

    def _told(self, run: Run) -> Testimony | None:
        if run in self.orphans:
            return Testimony(id=run[0], held_by=_HERE)
        return self._book.about(run[0]) if self._book else None

    def _judge(self, held: Held, delivery: Delivery, told: Testimony) -> Delivery | None:
        """The delivery with what is known of earlier deaths; None where it goes elsewhere."""
        intake, holdings = self.intake, self.holdings
        if told.held_by and told.held_by != holdings.session:
            del holdings.held[delivery.receipt]
            intake.spawn(self._sidings.wait_for_holder(intake, held))
            return None
        # What was laid to it before an operator sent it again is forgiven.
        laid = tuple(charge for charge in told.charges if charge.at > held.facts.at)
        charges = merged(delivery.charges, laid)
        suspect = delivery.suspect or (told.suspect and not held.facts.at and len(charges) < CHARGES_TO_PARK)
        if suspect and not self.quarantine:
            del holdings.held[delivery.receipt]
            intake.spawn(self._move_to_suspects(held, charges))
            return None
        # A dead letter shows what it was parked for.
        facts = msgspec.structs.replace(held.facts, charges=charges)
        holdings.held[delivery.receipt] = msgspec.structs.replace(held, facts=facts)
        return msgspec.structs.replace(delivery, charges=charges, suspect=suspect)

    async def _move_to_suspects(self, held: Held, charges: tuple[Charge, ...]) -> None:
        if self._ledger is not None:
            # Or the quarantine child would wait for this session, which lives, and never try it.
            await self._ledger.take(SessionId(self.holdings.session), (), (held.run,))
        await self._sidings.move_to_suspects(self.intake, held, charges)
