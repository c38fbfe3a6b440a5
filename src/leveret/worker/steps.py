"""The four steps of a settlement, where broker and store are not one server."""

from functools import partial
from typing import Any, cast

import msgspec

from leveret.errors import BrokerError
from leveret.model.delivery import Posting, Receipt, Verdict
from leveret.model.settlement import NOTHING, Commitment, Committed, Joined, Record, Seat, Stale, answered, waiting
from leveret.ports.backend import Backend, SharedJoins
from leveret.ports.broker import Broker
from leveret.ports.outbox import Outbox, Unsent
from leveret.worker.persist import Persistent

PATIENCE_SECONDS = 20.0
"""How long the steps may take before somebody else does them too."""


class FourSteps:
    """Store -> arrive -> publish -> settle, each repeated until it is done, so that no step is lost half-way.

    The order is the guarantee: storing is the fence (a refused outcome has no consequences), and the delivery is
    acknowledged only when everything that follows from it is durable.
    """

    def __init__(
        self, broker: Broker, backend: Backend | None, persist: Persistent, outbox: Outbox | None = None
    ) -> None:
        self._broker, self._backend, self._persist, self._outbox = broker, backend, persist, outbox
        self._shared = cast(SharedJoins, backend) if getattr(backend, "shares_joins", False) else None
        self.witnesses: dict[Receipt, Posting] = {}
        """Of deliveries that nobody will hand over again: messages that have their outcomes settled once more."""

    async def commit(
        self, commitments: tuple[Commitment, ...], *, settled: bool = False
    ) -> tuple[Committed | Stale, ...]:
        """`settled`: the deliveries were acknowledged before their runs (at most once)."""
        if not self.witnesses or not settled:
            return await self._commit(commitments, settled)
        unsent = await self._write_down(commitments)
        answers = await self._commit(commitments, settled)
        await self._cross_out(unsent)
        return answers

    async def _write_down(self, commitments: tuple[Commitment, ...]) -> tuple[str, ...]:
        """Before anything is stored: a sweeper finds it when this process dies in one of the steps that follow. What
        is swept finds the outcome, or nothing and is nothing."""
        outbox, names = self._outbox, list[str]()
        for commitment in commitments:
            posting = self.witnesses.pop(commitment.receipt, None)
            if posting is not None and outbox is not None:
                unsent = Unsent(id=f"settles {posting.id} {posting.attempt}", postings=(posting,))
                await self._persist("write down", partial(outbox.intend, unsent, PATIENCE_SECONDS))
                names.append(unsent.id)
        return tuple(names)

    async def _cross_out(self, names: tuple[str, ...]) -> None:
        outbox = self._outbox
        if names and outbox is not None:
            await self._persist("cross out", lambda: outbox.sent(names))

    async def _commit(self, commitments: tuple[Commitment, ...], settled: bool) -> tuple[Committed | Stale, ...]:
        accepted = await self._store(commitments)
        kept = [commitment for commitment, ours in zip(commitments, accepted, strict=True) if ours]
        await self._store_also(tuple(record for commitment in kept for record in commitment.also))
        released, over, claimed = await self._arrive(tuple(one.seat for one in kept if one.seat is not None))
        follow = (*(posting for commitment in kept for posting in commitment.follow), *released)
        shared = self._shared
        headers = tuple(header for posting in follow for header in posting.begins)
        if headers and shared is not None:
            await self._persist("arrive", lambda: shared.opened(headers))
        if follow:
            await self._persist("publish", lambda: self._broker.publish(follow))
        if over and shared is not None:
            await self._persist("arrive", lambda: shared.fired(over))
        if settled:
            return tuple(Committed() if ours else Stale("the outcome was refused") for ours in accepted)
        last = tuple(
            _again(c) if not ours else waiting(c) if c.seat is not None and c.seat.join in claimed else _last_step(c)
            for c, ours in zip(commitments, accepted, strict=True)
        )
        answers = await self._persist("settle", lambda: self._broker.settle(last))
        return tuple(
            answer if ours else Stale("the outcome was refused") for answer, ours in zip(answers, accepted, strict=True)
        )

    async def _arrive(self, seats: tuple[Seat, ...]) -> tuple[list[Posting], tuple[str, ...], frozenset[str]]:
        """Take the seats, and those further out that this fails; answers what it sets free, the joins that are over
        when it is published, and those that a Celery worker sees to. Repeated after a death it answers the same: the
        delivery is settled only then."""
        backend, follow, over, claimed = self._backend, list[Posting](), list[str](), set[str]()
        while seats and backend is not None:
            joined = await self._joined(backend, seats)
            claimed.update(one.join for one in joined if one.claimed)
            released = list(map(answered, seats, joined))
            await self._store_also(tuple(record for one in released for record in one.records))
            follow += [posting for one in released for posting in one.follow]
            over += [seat.join for seat, one in zip(seats, released, strict=True) if one != NOTHING]
            seats = tuple(seat for one in released for seat in one.seats)
        return follow, tuple(over), frozenset(claimed)

    async def _joined(self, backend: Backend, seats: tuple[Seat, ...]) -> list[Joined]:
        # A store that cannot close a join is not told of failed seats: without them it never completes either.
        closes = bool(getattr(backend, "closes_joins", False))
        told = tuple(seat for seat in seats if closes or not seat.failed)
        answers = iter(await self._persist("arrive", lambda: backend.arrive(told)) if told else ())
        open_still = [Joined(join=seat.join, complete=False) for seat in seats]
        return [next(answers) if closes or not seat.failed else open_still[n] for n, seat in enumerate(seats)]

    async def _store_also(self, records: tuple[Record, ...]) -> None:
        """What is refused has ended otherwise, and nothing hangs on it."""
        backend = self._backend
        if records and backend is not None:
            await self._persist("store", lambda: backend.store(records))

    async def _store(self, commitments: tuple[Commitment, ...]) -> list[bool]:
        accepted = [True] * len(commitments)
        places = [(place, c.record) for place, c in enumerate(commitments) if c.record is not None]
        if not places or self._backend is None:
            return accepted
        backend, records = self._backend, tuple(record for _, record in places)
        uncertain = False

        async def store() -> tuple[bool, ...]:
            nonlocal uncertain
            try:
                return await backend.store(records)
            except BrokerError:
                uncertain = True
                raise

        answers = await self._persist("store", store)
        for (place, _), answer in zip(places, answers, strict=True):
            accepted[place] = answer
        if uncertain and not all(answers):
            # An attempt without an answer may have stored it: what stands there may be our own outcome.
            refused = [(place, record) for place, record in places if not accepted[place]]
            ids = [record.id for _, record in refused]
            stored = await self._persist("get", lambda: backend.get(ids))
            for (place, record), there in zip(refused, stored, strict=True):
                accepted[place] = _same(record, there)
        return accepted


def _last_step(commitment: Commitment) -> Commitment:
    if commitment.record is None and not commitment.follow and not commitment.also and commitment.seat is None:
        return commitment
    changes: dict[str, Any] = {"record": None, "follow": (), "also": (), "seat": None}
    return msgspec.structs.replace(commitment, **changes)


def _again(commitment: Commitment) -> Commitment:
    """What to do with the delivery of a refused outcome: somebody else's outcome is stored, but whoever stored it may
    have died before publishing what follows, and this delivery may be the last one. Handed over again, `admit` finds
    the outcome and replays it; the copies stop at the door."""
    return Commitment(receipt=commitment.receipt, verdict=Verdict.RELEASE)


def _same(record: Record, there: Record | None) -> bool:
    return there is not None and (there.attempt, there.state, there.meta) == (
        record.attempt,
        record.state,
        record.meta,
    )
