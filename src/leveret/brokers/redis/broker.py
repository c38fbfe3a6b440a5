"""The broker's face for workers and for callers' loops; on the same connection also `Commit`."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from leveret.brokers.redis import claims
from leveret.brokers.redis.bell import Bell
from leveret.brokers.redis.claims import Back
from leveret.brokers.redis.doubts import Doubts
from leveret.brokers.redis.endings import FENCED, Endings, Posted
from leveret.brokers.redis.publishing import Desk, failure
from leveret.errors import BrokerError, LeaseLost, OperationalError, PublishFailed, PublishUnknown
from leveret.links.redis import envelope
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import read_receipt
from leveret.links.redis.refusals import Lost
from leveret.links.redis.scripts import Value, Verb, good
from leveret.logic.retry import reconnect_delay
from leveret.model.delivery import Claim, Delivery, Posting, Receipt, Return, Verdict
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.broker import Capability
from leveret.ports.clock import Clock

CAPABILITIES = frozenset(
    {
        Capability.DELAY,
        Capability.PRIORITY,
        Capability.DEDUPE,
        Capability.LEASE,
        Capability.COMMIT,
        Capability.COUNTS,
        Capability.LANES,
        Capability.FANOUT,
        Capability.BINDINGS,
    }
)


class RedisBroker:
    """`ports.broker.Broker`, `Punctual` and `Commit`. It never blocks, so it is the same for all loops.

    `_held` has the message of everything handed over here: to give one back is to write it anew.
    """

    capabilities = CAPABILITIES

    def __init__(self, hubs: Hubs, desk: Desk, endings: Endings, doubts: Doubts, bell: Bell, clock: Clock) -> None:
        self._hubs, self._desk, self._endings, self._bell, self._clock = hubs, desk, endings, bell, clock
        self._doubts = doubts
        self._names = desk.names
        self._held: dict[Receipt, bytes] = {}

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        if not postings:
            return
        hub = self._hubs.own()
        try:
            await hub.ready()
        except OperationalError as error:
            raise failure(error, postings, sent=False) from error
        try:
            await hub.perform(self._desk.publish(postings, self._clock.now()))
        except OperationalError as error:
            raise failure(error, postings, sent=True) from error

    async def publish_within(self, postings: tuple[Posting, ...], timeout: float) -> None:
        """`ports.broker.Punctual`: tried again for as long as there is time; what arrived twice is there once."""
        loop = asyncio.get_running_loop()
        end, unknown = loop.time() + timeout, False
        connection = self._hubs.own().connection
        if connection is not None and (command := self._desk.alone(postings, self._clock.now())) is not None:
            # The way of `adelay()`: all others pass five coroutines and a timer of their own.
            try:
                answers = await connection.ask_until(end, command)
                unknown = type(answers[0]) is int
                if unknown and not self._doubted(postings, end - timeout):
                    return
            except Lost:
                unknown = True
        await self._publish_until(end, postings, timeout, unknown)

    async def _publish_until(self, end: float, postings: tuple[Posting, ...], timeout: float, unknown: bool) -> None:
        """`unknown`: a try before may have arrived."""
        loop, failures = asyncio.get_running_loop(), 0
        error: BrokerError
        try:
            async with asyncio.timeout_at(end):
                while True:
                    began = loop.time()
                    try:
                        await self.publish(postings)
                        if unknown or not self._doubted(postings, began):
                            return
                        unknown = True
                        continue
                    except PublishUnknown as why:
                        error, unknown = why, True
                    except PublishFailed as why:
                        if not isinstance(why.__cause__, Lost):
                            if unknown:
                                raise PublishUnknown(f"{why}, this time; it may have been before") from why
                            raise
                        error = why
                    failures += 1
                    pause = reconnect_delay(failures, self._clock.jitter())
                    if loop.time() + pause >= end:
                        break
                    await asyncio.sleep(pause)
        except TimeoutError as why:
            raise PublishUnknown(
                f"Redis did not confirm {len(postings)} messages within {timeout:.3g} s (publish_timeout); "
                "sending them again with the same ids is safe"
            ) from why
        raise PublishUnknown(str(error)) if unknown else error

    def _doubted(self, postings: Sequence[Posting], began: float) -> bool:
        """Whether what was confirmed is to be confirmed once more, by whoever is the master now."""
        late = self._desk.late(self._hubs.location, postings, asyncio.get_running_loop().time() - began)
        if late and (connection := self._hubs.own().connection) is not None:
            connection.fail(TimeoutError())
        return late

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        bell = self._bell
        bell.belongs_to(claim.session, suspects=claim.suspects)
        if claim.credit < 1 or (not claim.last and bell.spares_a_claim()):
            return ()
        hub = self._hubs.own()
        try:
            taken, revoked = await hub.perform(claims.claim(self._names, claim, rests=bell.resting))
        except LeaseLost:
            # Others hold it now; what still runs here is looked up where it matters.
            self._held.clear()
            raise
        if not taken:
            return ()
        bell.rose()
        return await self._deliver(taken, claims.NOBODYS, revoked=revoked)

    async def _deliver(
        self, taken: claims.Taken, known: Mapping[bytes, Posting], *, revoked: bool
    ) -> tuple[Delivery, ...]:
        found = claims.deliveries(self._names, taken, known)
        held = self._held
        for delivery, (_, _, raw) in zip(found, taken, strict=True):
            held[delivery.receipt] = raw
        if revoked:
            found = await self._hubs.own().perform(claims.with_revoked(self._names, found))
        return tuple(found)

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        # The last step of four: outcome, seat and follow-ups were written before it.
        return await self.commit(tuple(_bare(commitment) for commitment in commitments))

    async def commit(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        return (await self._commit(commitments, None))[0] if commitments else ()

    async def commit_and_claim(
        self, commitments: tuple[Commitment, ...], claim: Claim
    ) -> tuple[tuple[Committed | Stale, ...], tuple[Delivery, ...]]:
        bell = self._bell
        bell.belongs_to(claim.session, suspects=claim.suspects)
        # While it waits it stays in the sets: the session has more slots than what is taken here fills.
        answers, answer, posted = await self._commit(
            commitments, claims.asking(self._names, claim, rests=bell.resting and not bell.waiting)
        )
        for messages in answer[4::2] if answer and answer[0] == b"new" else ():
            messages[:] = [posted[one][0] if type(one) is int else one for one in messages]
        taken, revoked = claims.taken(claim, answer)
        if not taken:
            return answers, ()
        if not bell.waiting:
            bell.rose()
        return answers, await self._deliver(taken, dict(posted.values()), revoked=revoked)

    async def _commit(
        self, commitments: tuple[Commitment, ...], asking: tuple[Value, ...] | None
    ) -> tuple[tuple[Committed | Stale, ...], list[Any], Posted]:
        """Settle, and claim where there is something to ask; what is taken is as the script answers it."""
        raws = await self._raws(
            one.receipt for one in commitments if one.verdict is not Verdict.ACK or one.seat or one.also
        )
        hub, now = self._hubs.own(), self._clock.now()
        answer: list[Any] = []
        posted: Posted = {}
        try:
            if asking is None:
                answers = await hub.perform(self._endings.commit(commitments, raws, now))
            else:
                verb = self._endings.commit_and_claim(commitments, raws, now, asking)
                answers, answer, posted = await hub.perform(verb)
            if self._doubts:
                answers = await hub.perform(self._doubts.resolve(commitments, answers, raws, now))
        except Lost:
            self._doubts.add(commitments)
            raise
        for commitment, settled in zip(commitments, answers, strict=True):
            # What the fence refused is still ours, and acknowledged next.
            if settled is not FENCED:
                self._held.pop(commitment.receipt, None)
        return answers, answer, posted

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        raws = await self._raws(back.receipt for back in returns)
        back = [
            Back(
                read_receipt(one.receipt),
                envelope.changed(raws[one.receipt], counted=one.counted),
                delay=one.delay,
            )
            for one in returns
            if one.receipt in raws
        ]
        await self._hubs.own().perform(claims.give_back(self._names, back))
        for one in returns:
            self._held.pop(one.receipt, None)

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        await self._bell.wait(queues, timeout)

    async def close(self) -> None:
        with suppress(BrokerError):
            await self._bell.close()
        self._hubs.close()

    async def _raws(self, receipts: Iterable[Receipt]) -> dict[Receipt, bytes]:
        """The messages of these hand-overs, and of all that this process knows."""
        strange = [receipt for receipt in receipts if receipt not in self._held]
        if not strange:
            return self._held
        return {**self._held, **await self._hubs.own().perform(self._look_up(strange))}

    def _look_up(self, receipts: list[Receipt]) -> Verb[dict[Receipt, bytes]]:
        tickets = map(read_receipt, receipts)
        answers = yield [("HGET", self._names.held(ticket.session), ticket.field) for ticket in tickets]
        found = zip(receipts, map(good, answers), strict=True)
        return {receipt: raw for receipt, raw in found if raw is not None}


def _bare(commitment: Commitment) -> Commitment:
    if commitment.record is None and commitment.seat is None and not commitment.follow and not commitment.also:
        return commitment
    return Commitment(
        receipt=commitment.receipt,
        verdict=commitment.verdict,
        delay=commitment.delay,
        reason=commitment.reason,
        counted=commitment.counted,
    )
