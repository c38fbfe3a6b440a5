"""Claims work while slots are idle and nothing waits for them; sleeps on the bell otherwise."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec

from leveret.errors import BrokerError, LeaseLost
from leveret.model.delivery import Claim, Delivery, Return, SessionId
from leveret.model.options import WorkerOptions
from leveret.model.settlement import Commitment, Committed, Stale
from leveret.ports.broker import Commit
from leveret.worker.context import WorkerParts
from leveret.worker.dispatcher import Dispatcher
from leveret.worker.persist import Persistent
from leveret.worker.settler import Settler

log = logging.getLogger("leveret.worker")

BELL_SECONDS = 1.0
"""The safety net behind the bell: an idle process claims at least so often."""
LINGER_SECONDS = 1.0
"""How long a process of several slots that has had its share of tasks waits for the last of them."""
_WITHOUT_LIMIT = 1 << 62


class Consumer:
    """Owned by the I/O loop. `turn` is held while a claim or a reconciliation is under way, never both."""

    def __init__(
        self,
        parts: WorkerParts,
        options: WorkerOptions,
        dispatcher: Dispatcher,
        settler: Settler,
        persist: Persistent,
    ) -> None:
        self._parts, self._options = parts, options
        self._dispatcher, self._settler, self._persist = dispatcher, settler, persist
        self.session = parts.session
        self.queues = options.queues
        """Remote control may change them."""
        self._paused: frozenset[str] = frozenset()
        self.claimed: Counter[str] = Counter()
        """Messages, by queue."""
        self._number = 0
        self._full_since: float | None = None
        self._outages = 0
        self._turn = asyncio.Lock()
        self._quiet = asyncio.Event()
        self._asleep: asyncio.Task[None] | None = None
        """`run`'s task while it waits for the bell; `quiet` and `pause` end the wait."""
        self._roused = False
        self.reason = ""
        """Why it ended by itself."""
        self.on_registered: Callable[[str], None] = lambda session: None
        if parts.commit is not None:
            settler.commit = partial(self._commit, parts.commit)

    def quiet(self) -> None:
        """Claim nothing more; `run` returns when the claim under way is answered."""
        self._quiet.set()
        self._dispatcher.changed.set()
        self._rouse()

    def pause(self, queues: frozenset[str]) -> None:
        """Take nothing from these from now on; all others are claimed from."""
        self._paused = queues
        self._rouse()

    @property
    def served(self) -> tuple[str, ...]:
        """What is claimed from now."""
        return tuple(name for name in self.queues if name not in self._paused) if self._paused else self.queues

    def _rouse(self) -> None:
        task, self._asleep = self._asleep, None
        if task is not None:
            self._roused = True
            task.cancel()

    async def run(self) -> None:
        """Claim until `quiet`, or until this process has had its share of tasks or of memory, or (burst) nothing is
        left."""
        while not self._quiet.is_set():
            if self._outgrown():
                self.reason = "max memory per child"
                return
            credit = self._credit()
            if not credit:
                if self._had_its_share():
                    self.reason = "max tasks per child"
                    return
                await self._capacity()
                continue
            deliveries = await self._claim(credit)
            if deliveries:
                continue
            if self._options.burst and await self._nothing_left():
                self.reason = "burst"
                return
            # What it had room for may have come along with a settlement meanwhile.
            if self._credit():
                await self._bell()

    async def reconcile(self) -> None:
        """Have the store give back what it thinks this session holds and the session does not know."""
        async with self._turn:
            held = tuple(self._settler.held)
            session = self.session.id
            try:
                lost = await self._persist("reconcile", lambda: self._parts.leases.reconcile(session, held))
            except LeaseLost:
                await self._renew()
                return
        if lost:
            log.warning("%d messages of a lost reply were given back", len(lost))

    def _credit(self) -> int:
        return min(self._dispatcher.credit(), max(0, self._share()))

    def _share(self) -> int:
        """How many more deliveries this process may take before it is replaced."""
        most = self._options.max_tasks_per_child
        return _WITHOUT_LIMIT if most is None else most - self._dispatcher.ended - self._in_hand()

    def _in_hand(self) -> int:
        return self._dispatcher.under_way + len(self._dispatcher.gathered())

    def _had_its_share(self) -> bool:
        """Whether this process takes nothing more: all it took has ended, or (with several slots) something of it
        goes on for so long that its successor had better begin."""
        if self._share() > 0:
            self._full_since = None
            return False
        now = self._parts.clock.monotonic()
        self._full_since = now if self._full_since is None else self._full_since
        lingers = self._options.slots > 1 and now - self._full_since >= LINGER_SECONDS
        return lingers or not self._dispatcher.busy()

    def _outgrown(self) -> bool:
        """Whether this process holds more memory than it may. One that has run nothing yet works on: it would be no
        smaller after being replaced."""
        most = self._options.max_memory_per_child
        if most is None or not self._dispatcher.ended:
            return False
        resident = self._parts.resident()
        if resident <= most:
            return False
        log.warning("this process holds %d KiB, %d are allowed: it is replaced", resident, most)
        return True

    async def _capacity(self) -> None:
        changed = self._dispatcher.changed
        changed.clear()
        if not self._credit() and (self._share() > 0 or self._dispatcher.busy()) and not self._quiet.is_set():
            timeout = LINGER_SECONDS if self._share() <= 0 and self._options.slots > 1 else None
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await changed.wait()

    async def _claim(self, credit: int, *, last: bool = False) -> tuple[Delivery, ...]:
        async with self._turn:
            credit = credit if last else min(credit, self._credit())
            if not credit:
                return ()
            claim = self._request(credit, last=last)
            try:
                deliveries = await self._persist("claim", lambda: self._parts.broker.claim(claim))
            except LeaseLost:
                await self._renew()
                return ()
            await self._take(deliveries)
        if self._persist.outages != self._outages:
            self._outages = self._persist.outages
            await self.reconcile()
        return deliveries

    def _request(self, credit: int, *, last: bool = False) -> Claim:
        return Claim(
            session=self.session.id,
            queues=self.served,
            credit=credit,
            number=self._number,
            suspects=self._options.quarantine,
            idle=self._dispatcher.idle(),
            aside=self._dispatcher.appetite.growing,
            held=len(self._dispatcher.gathered()),
            last=last,
        )

    async def _take(self, deliveries: tuple[Delivery, ...], fresh: frozenset[str] = frozenset()) -> None:
        """The answer to a claim, with the turn held."""
        self._number += 1
        if self._quiet.is_set():
            self._settler.give_back([Return(receipt=delivery.receipt) for delivery in deliveries])
        elif deliveries:
            self.claimed.update([delivery.queue for delivery in deliveries])
            await self._dispatcher.accept(deliveries, fresh)

    async def _commit(self, commit: Commit, batch: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        """Settle a batch; where the slots it has freed can begin all that follows it, claim in the same transaction. A
        chain then runs on without a bell, a second transaction, or another process that is called for it."""
        if not self._has_room_for_what_follows(batch):
            return await self._persist("commit", lambda: commit.commit(batch))
        async with self._turn:
            claim = self._request(self._credit())
            answers, deliveries = await self._persist("commit", lambda: commit.commit_and_claim(batch, claim))
            await self._take(
                deliveries, frozenset(posting.id for one in batch for posting in one.follow if posting.once)
            )
        return answers

    def _has_room_for_what_follows(self, batch: tuple[Commitment, ...]) -> bool:
        """More than the slots can begin at once is for others too: they are called, as ever."""
        follow = [posting for one in batch for posting in one.follow]
        if not follow or self._turn.locked() or self._quiet.is_set() or self._options.quarantine:
            return False
        queues = self.served
        ours = all(posting.queue in queues and posting.not_before is None for posting in follow)
        return ours and len(follow) <= self._dispatcher.idle() and self._credit() > 0

    async def _renew(self) -> None:
        """The session was reaped: what it held is others' now. Begin a new one; what runs, runs on."""
        log.warning("session %s was reaped; registering again", self.session.id)
        self._dispatcher.lose()
        await self.register(fresh=True)
        await self._dispatcher.gatekeeper.renew(self.session.id)

    async def register(self, *, fresh: bool) -> None:
        """Announce the session, under a new id if the old one is gone."""
        parts = self._parts
        if fresh:
            self.session = msgspec.structs.replace(self.session, id=SessionId(parts.clock.new_id()))
            self._number = 0
        session = self.session
        await self._persist("register", lambda: parts.leases.register(parts.node, (session,)))
        self.on_registered(session.id)

    async def _nothing_left(self) -> bool:
        """Burst: nothing to claim, nothing runs, and what just ended has put nothing new into the queues."""
        self._dispatcher.hurry()
        if self._dispatcher.busy():
            return False
        await self._settler.flushed()
        return not self._dispatcher.busy() and not await self._claim(self._credit() or 1, last=True)

    async def _bell(self) -> None:
        if self._quiet.is_set():
            return
        began, self._roused = self._parts.clock.monotonic(), False
        # In this task: each one between the bell and the claim costs an idle worker a turn of the loop.
        task = self._asleep = asyncio.current_task()
        assert task is not None
        try:
            if queues := self.served:
                await self._parts.broker.bell(queues, BELL_SECONDS)
            else:
                await asyncio.sleep(BELL_SECONDS)
        except asyncio.CancelledError:
            if not self._roused or task.uncancel():
                raise
        except (BrokerError, OSError) as error:
            # The claim that follows meets the same outage and waits it out.
            log.debug("bell: %s", error)
        finally:
            self._asleep = None
        if self._parts.clock.monotonic() - began >= BELL_SECONDS:
            self._dispatcher.rest()
