"""The worker's face of RabbitMQ: a session is a connection, a receipt is a delivery tag on it."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, assert_never

from leveret.brokers.amqp.intake import Intake
from leveret.brokers.amqp.sidings import Held, Sidings, fresh_copy
from leveret.brokers.amqp.testimony import Book, merged
from leveret.errors import LeaseLost
from leveret.links.amqp import declaring, letters, names
from leveret.links.amqp.address import Failover
from leveret.links.amqp.aio import AsyncConnection, connect
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.publisher import Publisher, follow
from leveret.model.delivery import Claim, Delivery, Posting, Receipt, Return, Verdict
from leveret.model.options import CHARGES_TO_PARK, DriverOptions
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.broker import Capability
from leveret.ports.clock import Clock

log = logging.getLogger("leveret.amqp")

CAPABILITIES = frozenset({Capability.DELAY, Capability.PRIORITY, Capability.FANOUT, Capability.EXCHANGES})

_REMEMBERED_ACKS = 2_000


class AmqpBroker:
    """`ports.broker.Broker` and `Severable`. `open` begins a session, which ends with its connection."""

    capabilities = CAPABILITIES

    def __init__(
        self, failover: Failover, publisher: Publisher, options: DriverOptions, clock: Clock, book: Book
    ) -> None:
        self._failover, self._publisher, self._options, self._clock = failover, publisher, options, clock
        self._sidings = Sidings(publisher, book, clock)
        self._book = book
        self._mode = options.topology.delivery_mode
        self._intake: Intake | None = None
        self._session = ""
        self._quarantine = False
        self._held: dict[Receipt, Held] = {}
        self._number = -1
        self._answer: tuple[Delivery, ...] = ()
        self._acked: deque[tuple[str, Any]] = deque(maxlen=_REMEMBERED_ACKS)
        """What was acknowledged last on this connection: if it breaks now, the broker may not have heard."""
        self._done: frozenset[tuple[str, Any]] = frozenset()
        """The same of the connection before: what comes again of that is done."""
        self.on_socket: Callable[[str, Any], None] = lambda session, sock: None
        """Told each new consuming connection's socket: the supervisor holds a duplicate of it."""

    # Sessions

    async def open(self, session: str, queues: tuple[str, ...], *, quarantine: bool = False) -> None:
        """Connect, declare, and begin `session`; nothing is consumed before the first claim."""
        if self._intake is not None and self._intake.error is None and self._session == session:
            return
        await self._end()
        connection = await connect(self._failover)
        try:
            for queue in queues:
                await self._declare(connection, queue, quarantine=quarantine)
            consumed = tuple(map(names.suspects, queues)) if quarantine else queues
            intake = Intake(connection, consumed, self._options.topology, self._back)
            await intake.begin()
        except BaseException:
            connection.abort()
            raise
        self.on_socket(session, connection.socket())
        self._intake, self._session, self._quarantine = intake, session, quarantine
        self._number, self._answer = -1, ()

    async def _declare(self, connection: AsyncConnection, queue: str, *, quarantine: bool) -> None:
        topology = self._options.topology
        await follow(connection, declaring.queue_and_bindings(topology, queue))
        if quarantine:
            await follow(connection, declaring.own_queue(names.suspects(queue)))
        elif not topology.celery:
            # Where the broker itself puts what exceeds the delivery limit.
            await follow(connection, declaring.own_queue(names.dead(queue)))

    async def _end(self) -> None:
        intake, self._intake = self._intake, None
        self._held.clear()
        self._done = frozenset(self._acked)
        self._acked.clear()
        if intake is not None and intake.error is None:
            await intake.connection.close()

    async def leave(self, session: str) -> None:
        """End a session in order: what it still holds goes back with its connection."""
        if session == self._session:
            await self._end()

    async def severed(self) -> None:
        intake = self._intake
        while intake is None or intake.error is not None:
            # Between two sessions: nothing is held.
            await asyncio.sleep(0.2)
            intake = self._intake
        await intake.lost_event.wait()
        self._held.clear()

    def check(self, session: str) -> None:
        """Raises `LeaseLost` unless that session goes on."""
        self._present(session)

    # Broker

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        if postings:
            now = self._clock.now()
            await self._publisher.publish([letters.letter(one, now, mode=self._mode) for one in postings])

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        intake = self._present(claim.session)
        if claim.number == self._number:
            return tuple(delivery for delivery in self._answer if delivery.receipt in self._held)
        taken = await intake.take(claim.credit, claim.idle or claim.credit)
        if intake.error is not None:
            raise LeaseLost(f"session {claim.session}: {intake.error}")
        deliveries = []
        for message in taken:
            delivery = self._hand_over(intake, message)
            if delivery is not None:
                deliveries.append(delivery)
        self._number, self._answer = claim.number, tuple(deliveries)
        return self._answer

    def _present(self, session: str) -> Intake:
        intake = self._intake
        if intake is None or intake.error is not None or session != self._session:
            why = "it was ended" if intake is None or intake.error is None else str(intake.error)
            raise LeaseLost(f"session {session} is no more: {why}")
        return intake

    def _hand_over(self, intake: Intake, message: Delivered) -> Delivery | None:
        queue = intake.queue_of(message)
        try:
            encoded, facts, read = letters.read(message.properties, message.body)
        except ProtocolError as error:
            intake.spawn(self._sidings.park_unreadable(intake, message, queue, str(error)))
            return None
        headers = encoded.headers
        key = (headers.get("id"), headers.get("retries"))
        if self._quarantine:
            queue = facts.queue or queue.removeprefix(names.SUSPECT_PREFIX)
        receipt = Receipt(f"{self._session}/{message.tag}/{key[0]}")
        held = Held(message.tag, key, queue, encoded, facts, read)  # type: ignore[arg-type] # hostile ids stay hostile
        charges, suspect = facts.charges, facts.suspect
        if message.redelivered:
            if key in self._done and key[0]:
                # It ended here, and the connection broke before the broker knew.
                intake.acknowledge((message.tag,))
                return None
            told = self._book.about(str(key[0])) if self._book else None
            if told is not None:
                charges = merged(charges, told.charges)
                suspect = suspect or (told.suspect and len(charges) < CHARGES_TO_PARK)
                if told.held_by and told.held_by != self._session:
                    intake.spawn(self._sidings.wait_for_holder(intake, held))
                    return None
        if suspect and not self._quarantine:
            intake.spawn(self._sidings.move_to_suspects(intake, held, charges))
            return None
        self._held[receipt] = held
        return Delivery(
            receipt=receipt,
            queue=queue,
            encoded=encoded,
            count=facts.count,
            redelivered=message.redelivered,
            charges=charges,
            suspect=suspect,
        )

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        """Acknowledge what is done; what is released later or parked is first published where it goes, confirmed."""
        intake, held = self._intake, self._held
        if intake is None or intake.error is not None:
            return tuple(Stale("its connection is gone: the broker hands it over again") for _ in commitments)
        answers: list[Committed | Stale] = []
        done: list[Held] = []
        back: list[int] = []
        out: list[Letter] = []
        for commitment in commitments:
            one = held.get(commitment.receipt)
            if one is None:
                answers.append(Stale("not held by this session any more"))
                continue
            answers.append(_COMMITTED)
            match commitment.verdict:
                case Verdict.ACK:
                    done.append(one)
                case Verdict.RELEASE if commitment.delay <= 0:
                    back.append(one.tag)
                case Verdict.RELEASE:
                    out.append(self._sidings.later(one, commitment.delay, counted=commitment.counted))
                    done.append(one)
                case Verdict.REJECT:
                    out.append(self._sidings.dead(one, commitment.reason))
                    done.append(one)
                case other:
                    assert_never(other)
        if out:
            await self._sidings.send(out)
        for commitment in commitments:
            held.pop(commitment.receipt, None)
        if intake.error is None:
            intake.acknowledge([one.tag for one in done])
            self._acked.extend([one.key for one in done])
            if back:
                intake.refuse(back)
        return tuple(answers)

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        intake = self._intake
        if intake is None or intake.error is not None or not returns:
            return
        back = intake.pause()
        out: list[Letter] = []
        done: list[Held] = []
        for one in returns:
            held = self._held.pop(one.receipt, None)
            if held is None:
                continue
            message = intake.unsettled.get(held.tag)
            if message is None:
                continue
            if one.delay > 0:
                out.append(self._sidings.later(held, one.delay, counted=one.counted))
                done.append(held)
            else:
                back.append(message)
        if out:
            await self._publisher.publish(out)
            intake.acknowledge([held.tag for held in done])
        await self._back(back)

    async def _back(self, messages: list[Delivered]) -> None:
        """Unstarted work returns to its old place. What the queue has counted often is sent anew, so that no innocent
        ever reaches its delivery limit."""
        intake = self._intake
        if intake is None or intake.error is not None or not messages:
            return
        worn: list[tuple[int, Letter]] = []
        plain: list[int] = []
        for message in messages:
            fresh = fresh_copy(message, intake.queue_of(message)) if message.redelivered else None
            if fresh is None:
                plain.append(message.tag)
            else:
                worn.append((message.tag, fresh))
        if plain:
            intake.refuse(plain)
        if worn:
            await self._publisher.publish([letter for _, letter in worn])
            intake.acknowledge([tag for tag, _ in worn])

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        intake = self._intake
        if intake is not None:
            await intake.bell(timeout)

    def disown(self) -> None:
        """In a process forked from this one: let go of its sockets, without a word on them."""
        if self._intake is not None:
            self._intake.connection.disown()
        self._publisher.disown()

    async def close(self) -> None:
        await self._end()
        await self._publisher.close()


_COMMITTED = Committed()
