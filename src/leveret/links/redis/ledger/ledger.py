"""The ledger in Redis: `ports.ledger.Ledger` for a broker that is another server. Leases go by Redis's clock."""

from collections.abc import Callable
from typing import Any

import msgspec

from leveret.links.redis import predecessors
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.ledger.grant import Grant
from leveret.links.redis.scripts import Value, Verb, ask
from leveret.model.delivery import Charge, SessionId
from leveret.model.node import Node, Pulse, Session, Testimony
from leveret.model.options import DriverOptions
from leveret.ports.ledger import CLEAR, Run, Standing

SUSPECT = "suspect"
"""A fact of a message beside its charges."""
TICK_SECONDS = 1.0
"""The fleet's tick is not older than this."""

_ENCODE = msgspec.json.Encoder().encode
_READ_CHARGE: Callable[[bytes], Charge] = msgspec.json.Decoder(Charge).decode
_READ_NODE: Callable[[bytes], Node] = msgspec.json.Decoder(Node).decode


class RedisLedger:
    """Each verb is one script, and one round trip but for `register`, which looks first."""

    def __init__(self, hubs: Hubs, prefix: str, grant: Grant, options: DriverOptions) -> None:
        self._hubs, self._prefix, self._grant = hubs, prefix, grant
        self._lease_seconds = options.lease_seconds
        self._times = (repr(options.lease_seconds), repr(options.tick_stale_seconds))

    async def register(self, node: Node, sessions: tuple[Session, ...]) -> None:
        await self._hubs.own().perform(self._grant.guarded(self._register(node, sessions), None))

    def _register(self, node: Node, sessions: tuple[Session, ...]) -> Verb[None]:
        others = yield from predecessors.gone(f"{self._prefix}leveret:ledger:", node, self._lease_seconds)
        past = [other.incarnation for other in others]
        facts: list[Value] = []
        for session in sessions:
            facts += (session.id, int(session.quarantine))
        lease = self._times[0]
        yield from ask(
            "ledger/register", self._prefix, node.incarnation, _ENCODE(node), lease, len(past), *past, *facts
        )

    async def beat(self, node: Node) -> Pulse:
        return await self._hubs.own().perform(self._grant.guarded(self._beat(node), Pulse()))

    def _beat(self, node: Node) -> Verb[Pulse]:
        revived, lost, next_loss = yield from ask(
            "ledger/beat", self._prefix, node.incarnation, _ENCODE(node), *self._times
        )
        return Pulse(revived=bool(revived), reaped=lost, next_loss=float(next_loss) if next_loss else None)

    async def end(self, session: SessionId) -> None:
        await self._ask("ledger/end", session)

    async def leave(self, node: Node) -> None:
        await self._ask("ledger/leave", node.incarnation)

    async def nodes(self) -> tuple[Node, ...]:
        alive = await self._ask("ledger/nodes")
        return tuple(_READ_NODE(facts) for facts in alive or () if facts is not None)

    async def take(
        self, session: SessionId, runs: tuple[Run, ...], ended: tuple[Run, ...] = ()
    ) -> tuple[Standing, ...]:
        answers = await self._ask("ledger/take", session, len(ended), *_words(ended), *_words(runs))
        return tuple(CLEAR for _ in runs) if answers is None else tuple(map(_standing, answers))

    async def testify(self, told: tuple[Testimony, ...]) -> None:
        facts: list[Value] = []
        for one in told:
            for charge in one.charges:
                facts += (one.id, _ENCODE(charge))
            if one.suspect:
                facts += (one.id, SUSPECT)
        if facts:
            await self._ask("ledger/testify", *facts)

    async def tick(self) -> None:
        await self._ask("ledger/tick", *self._times)

    async def _ask(self, name: str, *values: Value) -> Any:
        """None where the rights are missing."""
        return await self._hubs.own().perform(self._grant.guarded(ask(name, self._prefix, *values), None))


def _words(runs: tuple[Run, ...]) -> list[Value]:
    return [word for name, attempt in runs for word in (attempt, name)]


def _standing(answer: int | list[Any]) -> Standing:
    """Read what `take.lua` says of one run."""
    if isinstance(answer, int):
        return CLEAR
    if len(answer) == 1:
        return Standing(held_by=answer[0].decode())
    told = dict(zip(answer[2::2], map(int, answer[3::2]), strict=True))
    suspect = told.pop(SUSPECT.encode(), None) is not None
    charges = tuple(_READ_CHARGE(fact) for fact in sorted(told, key=told.__getitem__))
    # A charge is more than a suspicion: who is charged was seen doing it.
    return Standing(charges=charges, suspect=suspect or answer[1] == b"1")


class LedgerChores:
    """`ports.leases.Chores` of a store that keeps a ledger: the tick. Redis itself forgets what has had its time."""

    def __init__(self, ledger: RedisLedger) -> None:
        self._ledger = ledger

    async def upkeep(self) -> float:
        await self._ledger.tick()
        return TICK_SECONDS


class NoChores:
    """`ports.leases.Chores` of a store that keeps none."""

    async def upkeep(self) -> float:
        return 3600.0
