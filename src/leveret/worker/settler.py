"""The only place with side effects after a run, in batches, always in the same order (DESIGN 4).

Self-clocking: one batch is in flight, what ends meanwhile is the next one; an idle worker settles one task at once, a
busy one a hundred.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from leveret.errors import LeaseLost
from leveret.model.delivery import Posting, Receipt, Return, Verdict
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.broker import Broker
from leveret.worker.context import WorkerParts
from leveret.worker.persist import Persistent
from leveret.worker.steps import FourSteps

log = logging.getLogger("leveret.worker")

MOST_AT_ONCE = 500
"""Commitments in one transaction: it must not hold up the store's other writers."""
Committing = Callable[[tuple[Commitment, ...]], Awaitable[tuple[Committed | Stale, ...]]]
MOST_UNSETTLED = 1_000
"""Outcomes that wait behind the batch in flight; with more of them nothing is claimed, whatever slots are idle."""


class Settler:
    """Owned by the I/O loop. `held` is every receipt this process still answers for."""

    def __init__(self, parts: WorkerParts, persist: Persistent) -> None:
        self._broker: Broker = parts.broker
        self._clock = parts.clock
        self._persist = persist
        self._steps = FourSteps(parts.broker, parts.backend, persist, parts.outbox)
        self.commit: Committing | None = None if parts.commit is None else self._commit_alone
        """Settles a batch in one transaction; the consumer takes this over, to claim along with it."""
        self._fused = parts.commit
        self._severable = parts.severable is not None
        self._bare: set[asyncio.Task[None]] = set()
        self.on_room: Callable[[], None] = lambda: None
        """Told when it is not crowded any more."""
        self.on_settled: Callable[[Sequence[Receipt]], None] = lambda receipts: None
        """Told what this process does not answer for any more."""
        self._pending: list[Commitment] = []
        self._acked: list[Commitment] = []
        self._returns: list[Return] = []
        self._aside: set[asyncio.Task[None]] = set()
        self._busy = False
        self._wanted = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.held: set[Receipt] = set()
        self.unsettled_since = 0.0
        """Unix time of the oldest outcome not yet settled, 0 when there is none."""
        self.stale = 0
        self.committed = 0

    def add(self, commitments: Iterable[Commitment]) -> None:
        if self._severable:
            commitments = self._settle_bare(tuple(commitments))
        self._pending.extend(commitments)
        if self._pending:
            self._want()

    def crowded(self) -> bool:
        """Whether the store or broker takes outcomes more slowly than they come."""
        return len(self._pending) + len(self._acked) > MOST_UNSETTLED

    def add_acked(self, commitment: Commitment, again: Posting | None = None) -> None:
        """The outcome of a delivery that was acknowledged before its run (at most once). `again`: what has it settled
        a second time, where something follows and this process dies in the middle."""
        self._acked.append(commitment)
        if again is not None:
            self._steps.witnesses[commitment.receipt] = again
        self._want()

    def add_unrun(self, commitments: list[Commitment]) -> None:
        """Deliveries that end without a run. What moves elsewhere (early, unknown, unreadable) is first confirmed there
        unless that is one transaction: beside the others, which need not wait for it."""
        moving = [] if self.commit is not None else [one for one in commitments if one.verdict is not Verdict.ACK]
        if moving:
            task = asyncio.ensure_future(self._guarded(tuple(moving), settled=False))
            self._aside.add(task)
            task.add_done_callback(self._aside.discard)
            commitments = [one for one in commitments if one.verdict is Verdict.ACK]
        if commitments:
            self.add(commitments)

    def give_back(self, returns: Iterable[Return]) -> None:
        self._returns.extend(returns)
        self._want()

    def forget(self) -> None:
        """The session was reaped: returning what it held is no longer ours to do, unless the broker keeps account."""
        if not self._severable:
            self._returns.clear()
        self.held.clear()

    async def flushed(self) -> None:
        """Wait until everything added so far is settled."""
        while self._aside:
            await asyncio.wait(self._aside)
        await self._empty.wait()
        if self._bare:
            await asyncio.wait(set(self._bare))

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._pending or self._acked or self._returns:
                await self._flush()
            self.unsettled_since = 0.0
            self._empty.set()

    def _settle_bare(self, batch: tuple[Commitment, ...]) -> tuple[Commitment, ...]:
        """Acknowledge at once what has no consequences, and answer the rest: a broker that is short of memory takes no
        results, and acknowledgements, which free it, must not wait behind them."""
        bare = tuple(one for one in batch if _is_bare(one))
        if bare:
            task = asyncio.ensure_future(self._guarded(bare, settled=False))
            self._bare.add(task)
            task.add_done_callback(self._bare.discard)
        return tuple(one for one in batch if not _is_bare(one)) if bare else batch

    def _want(self) -> None:
        if self._empty.is_set():
            self._empty.clear()
            self.unsettled_since = self._clock.now()
            self._wanted.set()

    async def _flush(self) -> None:
        crowded = self.crowded()
        await self._flush_once()
        if crowded and not self.crowded():
            self.on_room()

    async def _flush_once(self) -> None:
        if self._returns:
            returns, self._returns = tuple(self._returns), []
            await self._give_back(returns)
        if self._acked:
            acked, self._acked = tuple(self._acked), []
            await self._guarded(acked, settled=True)
        if self._pending:
            batch, self._pending = tuple(self._pending[:MOST_AT_ONCE]), self._pending[MOST_AT_ONCE:]
            await self._guarded(batch, settled=False)

    async def _give_back(self, returns: tuple[Return, ...]) -> None:
        try:
            await self._persist("give back", lambda: self._broker.give_back(returns))
        except LeaseLost:
            log.debug("session lost before %d messages were given back", len(returns))
        self._let_go([back.receipt for back in returns])

    async def _guarded(self, batch: tuple[Commitment, ...], *, settled: bool) -> None:
        """One impossible commitment must not hold up the others: a batch that fails is tried one by one."""
        try:
            await self._settle(batch, settled=settled)
        except Exception as error:
            if len(batch) > 1:
                for commitment in batch:
                    await self._guarded((commitment,), settled=settled)
                return
            await self._park(batch[0], error, settled=settled)

    async def _park(self, commitment: Commitment, error: Exception, *, settled: bool) -> None:
        """It cannot be settled, now or ever (a link's exchange is not there): a dead letter, which is seen, instead of
        a run without end."""
        log.error("settlement failed; its message is parked as a dead letter", exc_info=error)
        if settled:
            self._let_go([commitment.receipt])
            return
        reason = f"could not be settled: {error}"
        parked = Commitment(receipt=commitment.receipt, verdict=Verdict.REJECT, reason=reason)
        try:
            await self._settle((parked,), settled=False)
        except Exception:
            # It stays claimed; whoever reconciles the session gives it back, as we no longer hold it.
            log.exception("the message could not be parked; it will be handed over again")
            self._let_go([commitment.receipt])

    async def _settle(self, batch: tuple[Commitment, ...], *, settled: bool) -> None:
        try:
            if settled:
                answers = await self._steps.commit(batch, settled=True)
            elif self.commit is not None:
                answers = await self.commit(batch)
            else:
                answers = await self._steps.commit(batch)
        except LeaseLost as error:
            answers = (Stale(str(error)),) * len(batch)
        self.committed += len(batch)
        self._let_go([commitment.receipt for commitment in batch])
        for commitment, answer in zip(batch, answers, strict=True):
            if not isinstance(answer, Committed):
                self._refused(commitment, answer, settled)

    def _let_go(self, receipts: Sequence[Receipt]) -> None:
        self.held.difference_update(receipts)
        self.on_settled(receipts)

    async def _commit_alone(self, batch: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        commit = self._fused
        assert commit is not None
        return await self._persist("commit", lambda: commit.commit(batch))

    def _refused(self, commitment: Commitment, answer: Stale, settled: bool) -> None:
        if _is_bare(commitment):
            return
        self.stale += 1
        log.info("stale settlement: %s", answer.reason)
        if self.commit is not None and commitment.record is not None and not settled:
            # The fence refused the outcome, but the delivery may still be ours: the message is a copy, and done. Where
            # something follows it, what the stored outcome means to that is still to be told (it was revoked while it
            # ran): handed over again, `admit` replays it.
            verdict = Verdict.RELEASE if _has_followers(commitment) else Verdict.ACK
            self._pending.append(Commitment(receipt=commitment.receipt, verdict=verdict))


def _has_followers(commitment: Commitment) -> bool:
    return commitment.seat is not None or bool(commitment.follow or commitment.also)


def _is_bare(commitment: Commitment) -> bool:
    return (
        commitment.verdict is Verdict.ACK
        and commitment.record is None
        and commitment.seat is None
        and not commitment.follow
        and not commitment.also
    )
