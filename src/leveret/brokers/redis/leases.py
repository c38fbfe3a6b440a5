"""Leases of nodes, sessions of worker processes, and the fleet's tick (DESIGN 3)."""

import os
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from leveret.brokers.redis import claims, reaping
from leveret.brokers.redis.bell import Bell
from leveret.brokers.redis.checks import Checks
from leveret.brokers.redis.claims import Back
from leveret.brokers.redis.kombu.fanout import Ears
from leveret.brokers.redis.publishing import Desk
from leveret.errors import LeaseLost
from leveret.links.alive import is_alive
from leveret.links.redis import envelope, predecessors
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import suspects_of
from leveret.links.redis.scripts import Verb, ask, good
from leveret.model.delivery import Delivery, Receipt, SessionId
from leveret.model.node import Node, Pulse, Reaping, Session
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock

ORPHAN_SECONDS = 3.0
"""How long the processes of a dead supervisor may finish what they run."""
GRANTED = 0.925
"""Of `lease_seconds`: by the end of those the work of a lost node has begun elsewhere, in a process made for it."""
CLOSING_SECONDS = 10.0
"""Whoever began to close a session and has not ended that after so long has died over it."""
_ENCODE = msgspec.json.Encoder().encode
_READ_NODE: Callable[[bytes], Node] = msgspec.json.Decoder(Node).decode


class Attendants(NamedTuple):
    """Who has something to do when a node, or a process of it, begins."""

    bell: Bell
    checks: Checks
    ears: Ears


class RedisLeases:
    """`ports.leases.Leases`."""

    def __init__(self, hubs: Hubs, desk: Desk, attendants: Attendants, options: DriverOptions, clock: Clock) -> None:
        self._hubs, self._desk, self._names, self._at_start = hubs, desk, desk.names, attendants
        self._options, self._clock = options, clock
        self._lease = options.lease_seconds * GRANTED

    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        hub = self._hubs.own()
        await hub.perform(self._at_start.checks.look())
        self._at_start.bell.node = node.incarnation
        await hub.perform(self._register(node, sessions))
        if any(session.pid == os.getpid() for session in sessions):
            self._at_start.ears.listen(hub, node.queues)

    def _register(self, node: Node, sessions: tuple[Session, ...]) -> Verb[None]:
        now = self._clock.now()
        for other in (yield from predecessors.gone(self._names.key("leveret:"), node, self._lease)):
            yield from self._succeed(node, other, now)
        yield from self._desk.introduce(node.queues)
        facts = [value for session in sessions for value in (session.id, _ENCODE(session))]
        lease = repr(self._lease)
        yield from ask("register", self._names.prefix, node.incarnation, _ENCODE(node), lease, *facts)

    def _succeed(self, node: Node, other: Node, now: float) -> Verb[None]:
        """Reap a predecessor. Its worker processes that still live finish what they run; the next beats reap them."""
        for session in (yield from reaping.sessions_of(self._names, other.incarnation)):
            # Process 1 has no supervisor it could have outlived.
            if session.pid not in (1, other.pid, node.pid) and is_alive(session.pid):
                yield from reaping.orphan(self._names, session.id)
            else:
                yield from reaping.lose_session(self._names, session.id, now)
        yield from reaping.drop(self._names, other.incarnation)

    async def beat(self, node: Node) -> Pulse:
        return await self._hubs.own().perform(self._beat(node))

    def _beat(self, node: Node) -> Verb[Pulse]:
        now, names = self._clock.now(), self._names
        times = (repr(self._lease), repr(self._options.tick_stale_seconds), repr(CLOSING_SECONDS))
        revived, suspects, lost, orphans, closing, next_loss = yield from ask(
            "beat", names.prefix, node.incarnation, _ENCODE(node), *times, *map(suspects_of, node.queues)
        )
        reaped = yield from self._reap_orphans(node, orphans, now)
        for session in closing:
            reaped += yield from reaping.lose_session(names, session.decode(), now)
        for incarnation in lost:
            reaped += yield from reaping.lose_node(names, incarnation.decode(), now)
        if reaped:
            answers = yield [("LLEN", names.key(suspects_of(queue))) for queue in node.queues]
            suspects = sum(map(good, answers))
        soon = float(next_loss) if next_loss else None
        return Pulse(suspects=suspects, revived=bool(revived), reaped=reaped, next_loss=soon)

    def _reap_orphans(self, node: Node, orphans: list[bytes], now: float) -> Verb[int]:
        """Reap the sessions a predecessor left, when their process is gone or has had its time."""
        since = {name.decode(): float(age) for name, age in zip(orphans[::2], orphans[1::2], strict=True)}
        if not since:
            return 0
        reaped = 0
        for session in (yield from reaping.sessions(self._names, list(since))):
            # Only its own machine can see whether a process lives.
            gone = session.node == node.name and not is_alive(session.pid)
            if gone or since[session.id] >= ORPHAN_SECONDS:
                reaped += yield from reaping.lose_session(self._names, session.id, now)
        return reaped

    async def reap(self, reapings: tuple[Reaping, ...]) -> int:
        return await self._hubs.own().perform(self._reap(reapings))

    def _reap(self, reapings: tuple[Reaping, ...]) -> Verb[int]:
        now, gone = self._clock.now(), 0
        for one in reapings:
            charges, suspect = dict(one.charged), one.suspect_others
            gone += yield from reaping.end_session(
                self._names, one.session, now, charges=charges, suspect_others=suspect
            )
        return gone

    async def reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> tuple[Delivery, ...]:
        return await self._hubs.own().perform(self._reconcile(session, held))

    def _reconcile(self, session: SessionId, held: tuple[Receipt, ...]) -> Verb[tuple[Delivery, ...]]:
        answers = yield [("HEXISTS", self._names.key("leveret:claims"), session)]
        if not good(answers[0]):
            raise LeaseLost(f"session {session} is not registered, or was reaped")
        unknown = yield from claims.held(self._names, session, held)
        lost = claims.deliveries(self._names, claims.receipts(unknown))
        # Counted: the request may have come late, when its session had run some of it; `admit` looks then.
        yield from claims.give_back(self._names, _counted(unknown))
        return tuple(lost)

    async def release(self, session: SessionId, keep: tuple[Receipt, ...]) -> int:
        return await self._hubs.own().perform(self._release(session, keep))

    def _release(self, session: SessionId, keep: tuple[Receipt, ...]) -> Verb[int]:
        others = yield from claims.held(self._names, session, keep)
        # Counted: it may have ended with its outcome stored elsewhere; `admit` looks when the count is above 1.
        return (yield from claims.give_back(self._names, _counted(others)))

    async def leave(self, node: Node) -> None:
        await self._hubs.own().perform(reaping.leave(self._names, node.incarnation, self._clock.now()))

    async def nodes(self) -> tuple[Node, ...]:
        return await self._hubs.own().perform(self._nodes())

    def _nodes(self) -> Verb[tuple[Node, ...]]:
        alive = yield from ask("nodes", self._names.prefix)
        return tuple(_READ_NODE(facts) for facts in alive if facts is not None)


def _counted(taken: claims.Held) -> list[Back]:
    return [Back(ticket, envelope.changed(raw, counted=True)) for ticket, raw in taken]
