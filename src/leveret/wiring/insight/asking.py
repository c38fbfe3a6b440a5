"""What broker, store and nodes know of one call: asked for once per silent wait, or when somebody wants to know why."""

import asyncio
from typing import Any

import msgspec

from leveret.client.waiting import Awaited
from leveret.config.settings import Settings
from leveret.errors import BrokerError, LeveretError
from leveret.logic.codec import Codec
from leveret.logic.ids import made_at
from leveret.logic.insight.explain import explain
from leveret.logic.remote import marks
from leveret.model.delivery import Place, QueueCounts, Whereabouts
from leveret.model.insight.call import CallFacts, Explanation, Held, Paused, Revoked, Stored
from leveret.model.limiting.gate import Reason
from leveret.model.node import Node
from leveret.model.remote.command import CALL_SECONDS, Command
from leveret.model.state import REVOKED, STARTED
from leveret.ports.broker import Capability
from leveret.ports.clock import Clock
from leveret.wiring.drivers import Drivers
from leveret.wiring.insight.stored import stored_facts

DEPTH = 100_000
"""Ready messages that are looked through for one id: about a second's work."""


class Asker:
    """Each question opens what it needs on the loop that asks."""

    def __init__(self, settings: Settings, drivers: Drivers, codec: Codec, clock: Clock) -> None:
        self._settings, self._drivers, self._codec, self._clock = settings, drivers, codec, clock

    async def explain(self, awaited: Awaited) -> Explanation:
        try:
            return explain(await self.facts(awaited))
        except (BrokerError, OSError) as error:
            # A broker that does not answer is no reason for a wait to fail.
            return explain(CallFacts(id=awaited.id, now=self._clock.now(), broken=str(error)))

    async def facts(self, awaited: Awaited) -> CallFacts:
        stored, told = await self._stored(awaited)
        if stored is not None and stored.terminal and not awaited.thorough:
            return self._ended(awaited, stored, None)
        place = await self._place(awaited)
        if stored is not None and stored.terminal:
            revoked = await self._revoked(stored, told) if stored.state == REVOKED else None
            return self._ended(awaited, stored, place, revoked)
        return await self._open(awaited, stored, place)

    def _ended(
        self, awaited: Awaited, stored: Stored, place: Whereabouts | None, revoked: Revoked | None = None
    ) -> CallFacts:
        return CallFacts(
            id=awaited.id, now=self._clock.now(), stored=stored, made=made_at(awaited.id), revoked=revoked,
            # Its message may be about to be settled still: what counts is the end, and a dead letter.
            place=place if place is not None and place.place is Place.DEAD else None,
        )  # fmt: skip

    async def _open(self, awaited: Awaited, stored: Stored | None, place: Whereabouts | None) -> CallFacts:
        drivers = self._drivers
        queue = (awaited.queue or "") if place is None else place.queue
        nodes = await drivers.broker.leases().nodes()
        serving = [node for node in nodes if queue in node.queues]
        counts = await drivers.broker.admin().counts((queue,)) if queue else ()
        task = awaited.task or _task_of(place) or (stored.name if stored is not None else "")
        asked = await self._asked(awaited, stored, place, nodes, bool(counts and counts[0].consumers))
        depth = DEPTH if awaited.thorough and self._sees else 0
        return CallFacts(
            id=awaited.id,
            now=self._clock.now(),
            task=task,
            address=drivers.broker.address,
            stored=stored,
            place=place,
            held=asked,
            silent=place.node if asked is None and place is not None and place.place is Place.CLAIMED else "",
            queue=queue,
            waiting=counts[0].ready if counts else None,
            consumers=self._consumers(serving, counts) if queue else None,
            tasks=frozenset(name for node in serving for name in node.tasks),
            reason=await self._reason(awaited.id),
            pauses=await self._pauses(queue, task),
            before=awaited.before,
            made=made_at(awaited.id),
            keeps=self._settings.result_expires,
            stores=drivers.results and drivers.remembers,
            ignored=awaited.ignored,
            looked_through=depth,
            sees=self._sees,
        )

    async def _reason(self, id: str) -> Reason | None:
        """The limit it waits for, as it was decided."""
        limiting = self._drivers.limiting()
        if limiting is None:
            return None
        return (await asyncio.to_thread(limiting.insight().reasons, (id,)))[0]

    async def _pauses(self, queue: str, task: str) -> tuple[Paused, ...]:
        pauses = self._drivers.pauses()
        if pauses is None:
            return ()
        wanted = {("queue", queue), ("task", task)}
        return tuple(
            Paused(kind=one.kind, name=one.name, since=one.since, by=one.by)
            for one in await pauses.all()
            if (one.kind, one.name) in wanted
        )

    @property
    def _sees(self) -> bool:
        return Capability.COUNTS in self._drivers.broker.capabilities

    async def _stored(self, awaited: Awaited) -> tuple[Stored | None, tuple[str, ...]]:
        """What is stored, and the marks by which it may have been revoked."""
        drivers = self._drivers
        if not drivers.remembers:
            return awaited.stored, (awaited.id,)
        backend = drivers.backend_beside(drivers.broker.broker(inline=False))
        record = (await backend.get((awaited.id,)))[0]
        if record is None:
            return None, (awaited.id,)
        stored, meta = stored_facts(record, self._codec)
        told = [awaited.id]
        if meta is not None and meta.revoked_by:
            return msgspec.structs.replace(stored, revoked_by=meta.revoked_by), ()
        if meta is not None and meta.group_id:
            told.append(marks.of_group(meta.group_id))
        return stored, (*told, *marks.of_stamps(meta.stamps if meta is not None else {}))

    async def _place(self, awaited: Awaited) -> Whereabouts | None:
        admin = self._drivers.broker.admin()
        return await admin.trace(awaited.id, DEPTH if awaited.thorough else 0)

    def _consumers(self, serving: list[Node], counts: tuple[QueueCounts, ...]) -> tuple[str, ...] | None:
        """By name where the broker keeps nodes; else as many as it counts."""
        names = tuple(node.name for node in serving)
        if names or Capability.LEASE in self._drivers.broker.capabilities:
            return names
        known = counts[0].consumers if counts else None
        return None if known is None else ("a worker process",) * known

    async def _asked(
        self, awaited: Awaited, stored: Stored | None, place: Whereabouts | None, nodes: tuple[Node, ...], others: bool
    ) -> Held | None:
        """What nodes say: the one that has it; all of them where nobody knows who has."""
        if place is not None and place.place is not Place.CLAIMED:
            return None
        likely = place.node if place is not None else stored.worker if stored and stored.state == STARTED else ""
        if not likely and not awaited.thorough:
            return None
        alive = [node.name for node in nodes]
        if likely:
            return await self._query(awaited.id, (likely,), 1) if likely in alive or not alive else None
        return await self._query(awaited.id, None, len(alive) or None) if alive or others else None

    async def _query(self, id: str, destination: tuple[str, ...] | None, limit: int | None) -> Held | None:
        if self._drivers.mailbox() is None:
            return None
        # Imported here: most programs that send tasks never ask.
        from leveret.wiring.remote.steering import Remote

        command = Command(method="query_task", arguments={"ids": [id]}, destination=destination)
        try:
            answers = await Remote(self._settings).caller.ask(command, CALL_SECONDS, limit=limit)
        except LeveretError:
            return None
        for answer in answers:
            told = answer.value.get(id) if isinstance(answer.value, dict) else None
            if isinstance(told, list | tuple) and len(told) == 2 and isinstance(told[1], dict):
                info = told[1]
                return Held(
                    node=answer.node, active=told[0] == "active", since=_number(info.get("time_start")),
                    pid=info.get("worker_pid"),
                )  # fmt: skip
        return None

    async def _revoked(self, stored: Stored, told: tuple[str, ...]) -> Revoked | None:
        """By which of its marks, and who said so; the marks are looked up in order: id, group, stamps."""
        if stored.revoked_by:
            return Revoked(kind="id", name="", by=stored.revoked_by, at=stored.at)
        drivers = self._drivers
        revocations = drivers.revocations()
        if revocations is None or not drivers.remembers:
            return None
        standing = await revocations.among(told)
        backend = drivers.backend_beside(drivers.broker.broker(inline=False))
        for mark in told:
            order = (await backend.get((marks.of_order(mark),)))[0]
            known = None if order is None else stored_facts(order, self._codec)[1]
            if known is not None and isinstance(known.result, dict):
                kind, name = marks.named(mark)
                by, at = known.result.get("by"), _number(known.result.get("at"))
                return Revoked(kind=kind, name=name, by=str(by or ""), at=at)
            if mark in standing and mark is not told[0]:
                kind, name = marks.named(mark)
                return Revoked(kind=kind, name=name)
        return None


def _task_of(place: Whereabouts | None) -> str:
    name = None if place is None or place.encoded is None else place.encoded.headers.get("task")
    return name if isinstance(name, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
