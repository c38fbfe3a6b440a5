"""What the cases of the suite stand on: a fleet on a fresh server, and a few short verbs."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from leveret.model.delivery import Claim, Delivery, Receipt, Return, SessionId, Verdict
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Record, Stale
from leveret.ports.broker import Capability
from leveret.testing.conformance.fleet import OPTIONS, DriverFactory, Fleet, Process
from leveret.testing.conformance.pace import Pace
from leveret.testing.conformance.values import QUEUE, ids, posting

T = TypeVar("T")
POLL_SECONDS = 0.02
Counts = tuple[int | None, int | None, int | None, int]


class Rig(Fleet):
    """A fleet, and what cases do with messages and records."""

    def __init__(self, factory: DriverFactory, options: DriverOptions = OPTIONS, pace: Pace | None = None) -> None:
        super().__init__(factory, options, pace)
        self._holders: dict[Receipt, tuple[str, Process]] = {}
        self._numbers: dict[str, int] = {}

    async def send(self, *names: str, **options: Any) -> None:
        await self.broker.publish(tuple(posting(name, **options) for name in names))

    async def claim(self, session: str = "s1", credit: int = 10, **options: Any) -> tuple[Delivery, ...]:
        """Claim what is expected to be there: until `credit` have come or nothing more comes. Each request has the
        session's next number; one whose number a case gives is made once."""
        if "number" in options:
            return await self._ask(session, credit, **options)
        return await self._gather(lambda room: self._ask(session, room, **options), credit, self.pace.patience)

    async def nothing(self, session: str = "s1", **options: Any) -> None:
        """See that a claim gets nothing."""
        came = await self._gather(lambda room: self._ask(session, room, **options), 10, self.pace.quiet)
        assert came == ()

    async def one(self, session: str = "s1", **options: Any) -> Delivery:
        deliveries = await self.claim(session, 1, **options)
        assert len(deliveries) == 1, f"expected one delivery, got {deliveries}"
        return deliveries[0]

    async def drain(self, credit: int, session: str = "s1") -> tuple[Delivery, ...]:
        """Claim many at once. A connection may have a window of its own: there, settling makes room for more."""
        if self.has(Capability.LEASE):
            return await self.claim(session, credit)

        async def take(room: int) -> tuple[Delivery, ...]:
            deliveries = await self._ask(session, room)
            for delivery in deliveries:
                await self.settle(delivery)
            return deliveries

        return await self._gather(take, credit, self.pace.patience)

    def _let_go(self, receipt: Receipt) -> Process:
        """Answer whose it is; it is not held any more."""
        session, process = self._holders.get(receipt, ("", self.main))
        self.held[session] = [held for held in self.held.get(session, ()) if held != receipt]
        return process

    async def settle(self, delivery: Delivery, verdict: Verdict = Verdict.ACK, **options: Any) -> Committed | Stale:
        commitment = Commitment(receipt=delivery.receipt, verdict=verdict, **options)
        (answer,) = await self._let_go(delivery.receipt).broker.settle((commitment,))
        return answer

    async def commit(self, delivery: Delivery, verdict: Verdict = Verdict.ACK, **options: Any) -> Committed | Stale:
        commitment = Commitment(receipt=delivery.receipt, verdict=verdict, **options)
        (answer,) = await self._let_go(delivery.receipt).committer.commit((commitment,))
        return answer

    async def commit_and_claim(
        self,
        delivery: Delivery,
        verdict: Verdict = Verdict.ACK,
        *,
        credit: int = 1,
        repeat: bool = False,
        **options: Any,
    ) -> tuple[tuple[Committed | Stale, ...], tuple[Delivery, ...]]:
        """`repeat`: as one asks again who got no answer."""
        commitment = Commitment(receipt=delivery.receipt, verdict=verdict, **options)
        session = self._holders[delivery.receipt][0]
        process = self._let_go(delivery.receipt)
        claim = self._request(session, credit, repeat=repeat)
        answers, deliveries = await process.committer.commit_and_claim((commitment,), claim)
        self._note(session, process, deliveries)
        return answers, deliveries

    async def give_back(self, *deliveries: Delivery, **options: Any) -> None:
        """In one batch; they are of one session."""
        returns = tuple(Return(receipt=delivery.receipt, **options) for delivery in deliveries)
        processes = [self._let_go(back.receipt) for back in returns]
        await processes[0].broker.give_back(returns)

    async def bell(self, session: str, timeout: float) -> None:
        await self._process(session).broker.bell((QUEUE,), timeout)

    async def nothing_before(self, due: float, session: str = "s1", step: float = 0.5) -> None:
        """See at every step that the session gets nothing, until just before that moment."""
        while due - self.clock.now() > 1.5 * self.seconds(step) + self.pace.margin:
            await self.advance(step)
            if due - self.clock.now() <= self.pace.margin / 2:
                return  # held up on the way: what came now might be on time
            assert await self._ask(session, 10) == ()

    async def store(self, *records: Record) -> tuple[bool, ...]:
        return await self.backend.store(records)

    async def _ask(self, session: str, credit: int, **options: Any) -> tuple[Delivery, ...]:
        process = self._process(session)
        claim = self._request(session, credit, **options)
        process.queues.update(claim.queues)
        deliveries = await process.broker.claim(claim)
        assert len(deliveries) <= credit
        self._note(session, process, deliveries)
        return deliveries

    def _request(self, session: str, credit: int, *, repeat: bool = False, **options: Any) -> Claim:
        self._numbers[session] = self._numbers.get(session, 0) + (not repeat)
        facts = {"queues": self._queues.get(session, (QUEUE,)), "number": self._numbers[session], **options}
        return Claim(session=SessionId(session), credit=credit, **facts)

    def _note(self, session: str, process: Process, deliveries: tuple[Delivery, ...]) -> None:
        for delivery in deliveries:
            holder, _ = self._holders.setdefault(delivery.receipt, (session, process))
            assert holder == session, "two sessions were given the same receipt"
            self.held.setdefault(session, []).append(delivery.receipt)

    async def _gather(
        self, ask: Callable[[int], Awaitable[tuple[Delivery, ...]]], credit: int, patience: float
    ) -> tuple[Delivery, ...]:
        """Ask until `credit` have come, or nothing more comes: once, where what is there is there at once."""
        time = asyncio.get_running_loop().time
        came: tuple[Delivery, ...] = ()
        end = time() + patience
        while True:
            more = await ask(credit - len(came))
            came += more
            end = time() + self.pace.quiet if more else end
            if len(came) == credit or time() >= end:
                return came
            await asyncio.sleep(POLL_SECONDS)

    # What is seen

    async def stands(self, ready: int, delayed: int, claimed: int, dead: int, queue: str = QUEUE) -> None:
        """See that so much stands in a queue, as far as the driver knows."""
        await self.becomes(lambda: self.counts(queue), self._known(queue, (ready, delayed, claimed, dead)))

    async def becomes(self, look: Callable[[], Awaitable[T]], expected: T) -> None:
        """See that what is looked at is what is expected: at once, or when news have travelled."""
        found = await look()
        for _ in range(int(self.pace.patience / POLL_SECONDS)):
            if found == expected:
                break
            await asyncio.sleep(POLL_SECONDS)
            found = await look()
        assert found == expected

    async def counts(self, queue: str = QUEUE) -> Counts:
        """Answer (ready, delayed, claimed, dead); None where the driver does not know."""
        (counts,) = await self.admin.counts((queue,))
        return self._known(queue, (counts.ready, counts.delayed, counts.claimed, counts.dead))

    def _known(self, queue: str, counts: Counts) -> Counts:
        """Without COUNTS, what has been pushed to a living session is not ready any more, asked for or not."""
        if self.has(Capability.COUNTS):
            return counts
        ready, _, _, dead = counts
        pushed = any(queue in process.queues for process in (*self.members.values(), self.main))
        return (None if pushed else ready), None, None, dead

    def counted(self, delivery: Delivery, count: int) -> bool:
        """Whether a delivery tells that it is that hand-over. A broker that keeps no sessions may only tell that it is
        not the first: `admit` looks for an outcome in both cases."""
        return delivery.count == count or (delivery.redelivered and not self.has(Capability.LEASE))

    def named(self, deliveries: tuple[Delivery, ...], *names: str) -> list[Delivery]:
        """The deliveries of those names and no others. They came in that order, where the broker keeps places."""
        found = ids(deliveries)
        assert found == list(names) or (sorted(found) == sorted(names) and not self.has(Capability.PLACES)), found
        return [deliveries[found.index(name)] for name in names]

    def same_moment(self, one: float, other: float) -> bool:
        return abs(one - other) <= self.pace.late
