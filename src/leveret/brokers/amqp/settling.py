"""How hand-overs end: acknowledged, back to the queue, later, or parked; each step before the one that relies on it."""

from collections.abc import Iterable
from typing import assert_never

from leveret.brokers.amqp.holdings import Held, Holdings
from leveret.brokers.amqp.intake import Intake, insist
from leveret.brokers.amqp.sidings import Sidings, fresh_copy
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.protocol.events import Delivered
from leveret.links.amqp.publisher import Publisher
from leveret.model.delivery import Return, SessionId, Verdict
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.ledger import Ledger

_COMMITTED = Committed()
GONE = Stale("its connection is gone: the broker hands it over again")
_NOT_HELD = Stale("not held by this session any more")


class Settling:
    """Of one session. Owned by the worker's loop."""

    def __init__(
        self, intake: Intake, holdings: Holdings, publisher: Publisher, sidings: Sidings, ledger: Ledger | None
    ) -> None:
        self._intake, self._holdings = intake, holdings
        self._publisher, self._sidings, self._ledger = publisher, sidings, ledger

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        """What is released later or parked is first published where it goes, confirmed. Repeated after an error it
        does again only what is not done."""
        held = self._holdings.held
        answers: list[Committed | Stale] = []
        done: list[Held] = []
        back: list[Held] = []
        out: list[Letter] = []
        for commitment in commitments:
            one = held.get(commitment.receipt)
            if one is None:
                answers.append(_NOT_HELD)
                continue
            answers.append(_COMMITTED)
            match commitment.verdict:
                case Verdict.ACK:
                    done.append(one)
                case Verdict.RELEASE if commitment.delay <= 0:
                    back.append(one)
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
        await self._let_go(back)
        for commitment in commitments:
            held.pop(commitment.receipt, None)
        if self._intake.error is not None:
            return tuple(GONE if answer is _COMMITTED else answer for answer in answers)
        self._acknowledge(done)
        self._intake.refuse(one.tag for one in back)
        # Committed is said when it is on its way, not when this turn of the loop is over.
        self._intake.connection.flush()
        return tuple(answers)

    def _acknowledge(self, done: list[Held]) -> None:
        if done:
            runs = [one.run for one in done]
            self._intake.acknowledge([one.tag for one in done])
            self._holdings.acknowledged.extend(runs)
            if self._ledger is not None:
                self._holdings.ended.extend(runs)

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        """Unstarted work; nothing more is asked for until a slot is idle."""
        intake, holdings = self._intake, self._holdings
        unclaimed = await intake.pause()
        back: list[Delivered] = []
        out: list[Letter] = []
        later: list[Held] = []
        gone: list[Held] = []
        for one in returns:
            held = holdings.held.get(one.receipt)
            message = None if held is None else intake.unsettled.get(held.tag)
            if held is None or message is None:
                continue
            gone.append(held)
            if one.delay > 0:
                out.append(self._sidings.later(held, one.delay, counted=one.counted))
                later.append(held)
            else:
                back.append(message)
        try:
            await self._let_go(gone)
            if out:
                await self._publisher.publish(out)
        except BaseException:
            # The caller tries again, or nobody knows of these.
            intake.restore(unclaimed)
            raise
        for one in returns:
            holdings.held.pop(one.receipt, None)
        intake.acknowledge([held.tag for held in later])
        await self.back([*back, *unclaimed])

    async def back(self, messages: Iterable[Delivered]) -> None:
        """To their old places. What the queue has counted often is sent anew, so that no innocent ever reaches its
        delivery limit."""
        intake = self._intake
        worn: list[tuple[int, Letter]] = []
        plain: list[int] = []
        for message in messages:
            fresh = fresh_copy(message, intake.queue_of(message)) if message.redelivered else None
            if fresh is None:
                plain.append(message.tag)
            else:
                worn.append((message.tag, fresh))
        intake.refuse(plain)
        if worn:
            await insist(intake, lambda: self._publisher.publish([letter for _, letter in worn]))
            intake.acknowledge([tag for tag, _ in worn])

    async def _let_go(self, gone: list[Held]) -> None:
        """Others must find the run free before the broker hands it to them."""
        if self._ledger is not None and gone:
            await self._ledger.take(SessionId(self._holdings.session), (), tuple(one.run for one in gone))
