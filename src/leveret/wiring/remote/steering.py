"""Joins whoever steers nodes: what is revoked goes into the store, commands to the nodes."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from leveret.client.control.author import author
from leveret.client.control.calling import Caller
from leveret.client.control.terms import Known
from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.logic.codec import Codec
from leveret.logic.remote import marks as marked
from leveret.logic.results import write_meta
from leveret.model.message import TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.remote.command import Command
from leveret.model.settlement import Record
from leveret.model.state import READY_STATES, REVOKED, STARTED
from leveret.ports.backend import Backend
from leveret.ports.clock import Clock
from leveret.ports.limiting.pauses import Pauses
from leveret.ports.operations.mailbox import Mailbox
from leveret.wiring.client import build_router
from leveret.wiring.clock import SystemClock
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers, open_drivers
from leveret.wiring.topology import listed_queues

REVOKED_SECONDS = 30 * 86_400.0
"""How long a revocation is remembered, whatever becomes of the task's result: a task may wait for weeks."""
ORDER = "ORDER"
"""The state of what is kept of a revocation; no reader takes it for a result."""
REMOTE_CONTROL = "remote control"
"""Who revoked, where a node only heard of it."""
REVOKED_ERROR = ErrorInfo(type="TaskRevokedError", module="leveret.errors", args=("revoked",), text="revoked")


class Remote:
    """`client.control.terms.Steering` of one app's settings. Each call connects for itself: people call seldom."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings, self._clock = settings, clock or SystemClock()
        self.caller = Caller(
            open=self._open, clock=self._clock, namespace=settings.control_exchange, keys=settings.control_key
        )

    async def revoke(self, marks: Sequence[str]) -> bool:
        drivers = open_drivers(self._settings, self._clock)
        broker = drivers.broker.broker(inline=False)
        backend = drivers.backend_beside(broker)
        try:
            revoker = Revoker(drivers, backend, build_codec(self._settings), self._clock, self._settings.result_expires)
            return await revoker.revoke(marks, by=author())
        finally:
            await broker.close()
            await backend.close()

    @asynccontextmanager
    async def pauses(self) -> AsyncIterator[Pauses]:
        async with self._opened() as drivers:
            yield required_pauses(drivers)

    async def known(self) -> Known:
        settings = self._settings
        async with self._opened() as drivers:
            nodes = await drivers.broker.leases().nodes()
            counts = await drivers.broker.admin().counts()
            router = build_router(settings, drivers.broker.capabilities)
        queues = {settings.task_default_queue, *listed_queues(settings), *router.routed_queues()}
        queues.update(queue for node in nodes for queue in node.queues)
        return Known(
            frozenset(queues.union(count.queue for count in counts)),
            frozenset(task for node in nodes for task in node.tasks),
        )

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Drivers]:
        drivers = open_drivers(self._settings, self._clock)
        broker = drivers.broker.broker(inline=False)
        try:
            yield drivers
        finally:
            await broker.close()
            await drivers.backend_beside(broker).close()

    async def tell(self, ids: tuple[str, ...], terminate: bool, signal: str) -> None:
        """Revoke tasks; nobody waits for what nodes say to it."""
        await self.revoke(ids)
        arguments = {"task_id": list(ids), "terminate": terminate, "signal": signal}
        await self.caller.send(Command(method="revoke", arguments=arguments))

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Mailbox]:
        mailbox = required_mailbox(open_drivers(self._settings, self._clock))
        try:
            yield mailbox
        finally:
            await mailbox.close()


def required_mailbox(drivers: Drivers) -> Mailbox:
    mailbox = drivers.mailbox()
    if mailbox is None:
        raise ImproperlyConfigured(f"{drivers.broker.address} carries no commands to nodes: remote control needs that")
    return mailbox


def required_pauses(drivers: Drivers) -> Pauses:
    pauses = drivers.pauses()
    if pauses is None:
        raise ImproperlyConfigured(
            f"{drivers.broker.address} cannot remember what is paused, nor is there a result store that could "
            f"(results: {drivers.results_address}): set result_backend to redis:// or sqlite://"
        )
    return pauses


class Revoker:
    """Writes what is revoked: marks, where a claim looks, and the outcome of tasks that have not begun."""

    def __init__(self, drivers: Drivers, backend: Backend, codec: Codec, clock: Clock, expires: float | None) -> None:
        self._revocations, self._backend = drivers.revocations(), backend
        self._codec, self._clock, self._expires = codec, clock, expires

    async def revoke(self, marks: Sequence[str], by: str = "") -> bool:
        """False where there is no store: then only the nodes remember. `by`: who says so, for `explain`; empty for a
        node that heard it by remote control."""
        if self._revocations is None or not marks:
            return False
        await self._revocations.revoke(marks, REVOKED_SECONDS)
        ids = marked.ids_among(marks)
        stored = dict(zip(ids, await self._backend.get(ids), strict=True)) if ids else {}
        outcomes = tuple(
            self._record(name, 0 if known is None else known.attempt, by)
            for name, known in stored.items()
            if known is None or (known.state not in READY_STATES and known.state != STARTED)
        )
        # Their outcome says who; of what runs, and of groups and stamps, nothing is written yet that could.
        told = [mark for mark in marks if mark not in stored or ((known := stored[mark]) and known.state == STARTED)]
        if records := (*outcomes, *(self._order(mark, by) for mark in told)):
            await self._backend.store(records)
        return True

    def _order(self, mark: str, by: str) -> Record:
        """Who revoked by a mark. A node that only heard of it does not overwrite what who asked has written: the fence
        keeps the later attempt."""
        name = marked.of_order(mark)
        told = {"by": by or REMOTE_CONTROL, "at": self._clock.now()}
        return Record(
            id=TaskId(name),
            attempt=1 if by else 0,
            state=ORDER,
            tombstone=True,
            meta=write_meta(self._codec, id=name, status=ORDER, result=told),
            content_type=self._codec.result_serializer.content_type,
            expires_after=REVOKED_SECONDS,
        )

    def _record(self, name: str, attempt: int, by: str) -> Record:
        meta = write_meta(
            self._codec,
            id=name,
            status=REVOKED,
            error=REVOKED_ERROR,
            date_done=self._clock.now(),
            revoked_by=by or REMOTE_CONTROL,
        )
        return Record(
            id=TaskId(name),
            attempt=attempt,
            state=REVOKED,
            terminal=True,
            meta=meta,
            content_type=self._codec.result_serializer.content_type,
            expires_after=self._expires,
        )
