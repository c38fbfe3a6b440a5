"""Where messages go that are not simply done: the ladder, the dead letters, the suspects; each confirmed there before
it is acknowledged here."""

import logging

import msgspec

from leveret.brokers.amqp.holdings import Held
from leveret.brokers.amqp.intake import Intake, insist
from leveret.brokers.amqp.testimony import Book, merged
from leveret.links.amqp import declaring, letters, names
from leveret.links.amqp.letters import Facts, Letter
from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.publisher import Publisher, follow
from leveret.model.delivery import Charge
from leveret.ports.clock import Clock

log = logging.getLogger("leveret.amqp")

_RETURNS_BEFORE_CARE = 2
"""A quorum queue counts returns towards its limit: what came back so often is sent anew instead."""
_HOLDER_SECONDS = 5.0


class Sidings:
    """Owned by the worker's loop."""

    def __init__(self, publisher: Publisher, book: Book, clock: Clock) -> None:
        self._publisher, self._book, self._clock = publisher, book, clock

    async def send(self, out: list[Letter]) -> None:
        """Publish, making the queues of ours that they are for."""
        lines = await self._publisher.open()
        for place in {one.routing_key for one in out if not one.late} - lines.declared:
            if place.startswith(names.DEAD_PREFIX):
                await self.make_dead_queue(place.removeprefix(names.DEAD_PREFIX))
            else:
                async with lines.declaring:
                    await follow(lines.connection, declaring.own_queue(place))
            lines.declared.add(place)
        await self._publisher.publish(out)

    async def make_dead_queue(self, queue: str) -> None:
        """See that dead letters of `queue` have a place, and that operators find it."""
        lines = await self._publisher.open()
        async with lines.declaring:
            made = await follow(lines.connection, declaring.dead_queue(queue))
        if made:
            await self._publisher.publish([letters.index_entry(queue)])

    def later(self, held: Held, delay: float, *, counted: bool) -> Letter:
        """The same message after a while."""
        facts = msgspec.structs.replace(held.facts, count=held.facts.count + counted)
        properties = letters.rewritten(held.read, held.encoded, facts)
        # Whatever moment a peer wrote: it comes back before, and waits again.
        return letters.delayed(held.queue, min(delay, names.LONGEST_DELAY), properties, held.encoded.body)

    def dead(self, held: Held, reason: str) -> Letter:
        told = self._book.about(held.run[0]) if self._book else None
        facts = Facts(
            count=held.facts.count,
            charges=merged(held.facts.charges, told.charges if told else ()),
            queue=held.queue,
            reason=reason,
            at=self._clock.now(),
        )
        properties = letters.rewritten(held.read, held.encoded, facts)
        return Letter("", names.dead(held.queue), properties, held.encoded.body, True)

    async def park_unreadable(self, intake: Intake, message: Delivered, queue: str, error: str) -> None:
        """Properties that nobody can read are kept as bytes; the body stays the body."""
        log.error("message on queue %r parked as a dead letter: %s", queue, error)
        letter = letters.unreadable(message, queue, f"undecodable: {error}", self._clock.now())
        await insist(intake, lambda: self.send([letter]))
        intake.acknowledge((message.tag,))

    async def move_to_suspects(self, intake: Intake, held: Held, charges: tuple[Charge, ...]) -> None:
        facts = msgspec.structs.replace(held.facts, suspect=True, queue=held.queue, charges=charges)
        properties = letters.rewritten(held.read, held.encoded, facts)
        letter = Letter("", names.suspects(held.queue), properties, held.encoded.body, True)
        await insist(intake, lambda: self.send([letter]))
        intake.acknowledge((held.tag,))

    async def wait_for_holder(self, intake: Intake, held: Held) -> None:
        """It still runs elsewhere: it comes again when that may be over, and its outcome is looked for then."""
        held = msgspec.structs.replace(held, facts=msgspec.structs.replace(held.facts, again=True))
        letter = self.later(held, _HOLDER_SECONDS, counted=False)
        await insist(intake, lambda: self._publisher.publish([letter]))
        intake.acknowledge((held.tag,))


def fresh_copy(message: Delivered, queue: str) -> Letter | None:
    """The message anew, where its queue has counted it often; None: a plain return will do."""
    try:
        encoded, facts, read = letters.read(message.properties, message.body)
    except ProtocolError:
        return None
    if facts.returns < _RETURNS_BEFORE_CARE:
        return None
    facts = msgspec.structs.replace(facts, again=True)
    return Letter("", queue, letters.rewritten(read, encoded, facts), message.body, True)
