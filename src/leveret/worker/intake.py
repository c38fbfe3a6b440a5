"""What was claimed becomes jobs, or ends without a run; what some jobs need before they run."""

import difflib
import logging
import os
from collections import Counter

from msgspec.structs import replace

from leveret.errors import DecodeError
from leveret.logic.canvas.joins import is_counted, is_member
from leveret.logic.delivery import PLAIN, Facts, Run, admit, needs_lookup, undecodable
from leveret.logic.remote.marks import of_headers
from leveret.logic.schedules.neighbour import is_from_beat, mark
from leveret.model.delivery import Delivery, Verdict
from leveret.model.message import Message
from leveret.model.settlement import Commitment, Committed, Record, Settlement
from leveret.ports.executor import Job
from leveret.worker.commitments import commitment, sent_again, skipped
from leveret.worker.context import WorkerParts
from leveret.worker.limiting.gatekeeper import Gatekeeper
from leveret.worker.pausing.rests import Rests
from leveret.worker.persist import Persistent
from leveret.worker.settler import Settler
from leveret.worker.telling.teller import Teller

log = logging.getLogger("leveret.worker")

MOST_BEATS = 1000
"""Different calls of Celery's beat that are remembered: a schedule has not more."""


class Intake:
    """Owned by the I/O loop."""

    def __init__(
        self, parts: WorkerParts, settler: Settler, persist: Persistent, teller: Teller, gatekeeper: Gatekeeper
    ) -> None:
        self._parts, self._settler, self._persist, self._teller = parts, settler, persist, teller
        self._gatekeeper = gatekeeper
        self.revoked: frozenset[str] = frozenset()
        """Marks of remote control: what was claimed before they were written does not begin either."""
        self.rests = Rests()
        self.total: Counter[str] = Counter()
        """Tasks taken, by name."""
        self.beats: dict[str, float] = {}
        """When Celery's beat was last seen to send something, by its mark."""

    async def take(self, deliveries: tuple[Delivery, ...], fresh: frozenset[str] = frozenset()) -> list[Job]:
        """Decode and admit a batch in its order; what is not to run goes to the settler. `fresh`: ids of what the very
        transaction has put into the queue that claimed it here, where the door has looked for an outcome already."""
        self._settler.held.update([delivery.receipt for delivery in deliveries])
        decoded, settled = await self._decode(await self._marked(deliveries))
        find = self._parts.registry.find
        # One look per name: a registry may build definitions from the app's present settings.
        definitions = {name: find(name) for name in {message.task for _, message in decoded}}
        # At most once: a copy that its sender sent again finds no message in its way, but the outcome.
        early = {name for name, definition in definitions.items() if definition and not definition.acks_late}
        stored = await self._lookup([one for one in decoded if not _is_fresh(*one, fresh)], early)
        rules, now = self._parts.rules, self._parts.clock.now()
        jobs: list[Job] = []
        unread: list[tuple[Delivery, DecodeError]] = []
        for delivery, message in decoded:
            if message.headers and is_from_beat(message.headers):
                self._note_beat(delivery, message)
            definition = definitions[message.task]
            facts = Facts(stored.get(message.id), delivery.revoked) if stored or delivery.revoked else PLAIN
            try:
                admission = admit(delivery, message, facts, definition, rules, now)
            except DecodeError as error:  # a step of its chain, which is read only when somebody asks for it
                unread.append((delivery, error))
                continue
            if not isinstance(admission, Run):
                self._tell(delivery, message, admission.settlement)
                self._teller.skipped(message, admission.settlement, definition, now)
                if definition is not None and definition.limited and _is_over(admission.settlement, facts.stored):
                    self._gatekeeper.skipped(delivery.receipt, message, definition)
                settled.append(skipped(admission.settlement, delivery.receipt, message, rules.codec))
            elif definition is not None:
                if is_member(message) and not is_counted(message, rules):
                    self._warn_of_seat(message)
                jobs.append(Job(delivery.receipt, message, definition, delivery.count))
        if unread:
            settled += await self._unreadable(unread)
        if self.rests:
            jobs, resting = self.rests.divide(jobs, now)
            settled += resting
        if settled:
            self._settler.add_unrun(settled)
        self.total.update([job.message.task for job in jobs])
        return jobs

    def _note_beat(self, delivery: Delivery, message: Message) -> None:
        """What waited long says little of now, and a moment that is over must not be taken for the next."""
        if delivery.count == 1 and len(self.beats) < MOST_BEATS:
            self.beats[mark(message.task, delivery.encoded)] = self._parts.clock.now()

    async def _marked(self, deliveries: tuple[Delivery, ...]) -> tuple[Delivery, ...]:
        """With what was revoked, where the claim itself did not tell."""
        known, ask = self.revoked, self._parts.revocations
        if not known and ask is None:
            return deliveries
        marks = [of_headers(delivery.encoded.headers) for delivery in deliveries]
        if ask is not None:
            asked = [mark for own in marks for mark in own]
            known |= await self._persist("look up what is revoked", lambda: ask.among(asked))
        return tuple(
            delivery if known.isdisjoint(own) else replace(delivery, revoked=True)
            for delivery, own in zip(deliveries, marks, strict=True)
        )

    async def _decode(
        self, deliveries: tuple[Delivery, ...]
    ) -> tuple[list[tuple[Delivery, Message]], list[Commitment]]:
        codec = self._parts.codec
        decoded: list[tuple[Delivery, Message]] = []
        unread: list[tuple[Delivery, DecodeError]] = []
        for delivery in deliveries:
            try:
                decoded.append((delivery, codec.decode(delivery.encoded, delivery.queue)))
            except DecodeError as error:
                unread.append((delivery, error))
        return decoded, await self._unreadable(unread)

    async def _unreadable(self, unread: list[tuple[Delivery, DecodeError]]) -> list[Commitment]:
        """The outcome is stored apart from the settlement: the dead letter must be kept whatever the fence says of the
        id it names."""
        rules, now, backend, codec = self._parts.rules, self._parts.clock.now(), self._parts.backend, self._parts.codec
        for delivery, error in unread:
            log.error("message on queue %r parked as a dead letter: undecodable: %s", delivery.queue, error)
            self._teller.unread(delivery.encoded, error)
        records = tuple(record for one, error in unread if (record := rules.unread(one.encoded, error, now)))
        if records and backend is not None:
            await self._persist("store", lambda: backend.store(records))
        return [commitment(undecodable(one, error), one.receipt, codec) for one, error in unread]

    async def _lookup(self, decoded: list[tuple[Delivery, Message]], early: set[str]) -> dict[str, Record]:
        """One look at the store for the whole batch, and none where nothing can be there."""
        backend = self._parts.backend
        ids = [message.id for delivery, message in decoded if message.task in early or needs_lookup(delivery, message)]
        if not ids or backend is None:
            return {}
        stored = await self._persist("get", lambda: backend.get(ids))
        return {record.id: record for record in stored if record is not None}

    def _warn_of_seat(self, message: Message) -> None:
        """Seats are counted in the store of the worker that ran the member: say where it cannot."""
        body = message.embed.chord
        log.warning(
            "Task %s[%s] is a member of a chord (group %s). It runs and keeps its result, but its seat cannot be "
            "counted here (its sender did not say how many there are, or no result store counts them): the body %s "
            "starts only if Celery's workers run all its members",
            message.task, message.id, message.group, body and body.task,
        )  # fmt: skip

    def _tell(self, delivery: Delivery, message: Message, settlement: Settlement) -> None:
        name = f"{message.task}[{message.id}]"
        if settlement.verdict is Verdict.RELEASE and not settlement.counted:
            log.info("Task %s waits in the broker for its time, in %.3f s", name, settlement.delay)
        elif settlement.verdict is Verdict.RELEASE:
            near = ", ".join(difflib.get_close_matches(message.task, list(self._parts.registry), n=3))
            log.error(
                "Received unregistered task of type %r [%s] (nearest names here: %s); parked on queue %r for %d s",
                message.task, message.id, near or "none", delivery.queue, settlement.delay,
            )  # fmt: skip
        elif settlement.verdict is Verdict.REJECT:
            log.error("Task %s parked as a dead letter: %s", name, settlement.reason)
        elif settlement.record is not None:
            log.info("Task %s ends without a run: %s", name, settlement.record.state)
        else:
            log.info("Task %s had ended before: settled again", name)


def _is_over(settlement: Settlement, stored: Record | None) -> bool:
    """Whether the task has ended for good, now or before."""
    record = settlement.record or stored
    return record is not None and record.terminal


def _is_fresh(delivery: Delivery, message: Message, fresh: frozenset[str]) -> bool:
    return message.id in fresh and delivery.count == 1 and not (delivery.redelivered or delivery.revoked)


class Early:
    """What some jobs need before they run: their acknowledgement (at most once), their announcement (STARTED)."""

    def __init__(self, parts: WorkerParts, settler: Settler, persist: Persistent) -> None:
        self._parts, self._settler, self._persist = parts, settler, persist

    async def acknowledge(self, jobs: tuple[Job, ...]) -> tuple[Job, ...]:
        """Answer those that may run."""
        early = tuple(job for job in jobs if not job.definition.acks_late)
        if not early:
            return jobs
        acks = tuple(Commitment(receipt=job.receipt, verdict=Verdict.ACK) for job in early)
        answers = await self._persist("acknowledge", lambda: self._parts.broker.settle(acks))
        # Somebody else's now, or an answer was lost after the broker acted: at most once means not to run it.
        lost = {job.receipt for job, answer in zip(early, answers, strict=True) if not isinstance(answer, Committed)}
        self._settler.held.difference_update([job.receipt for job in early])
        return tuple(job for job in jobs if job.receipt not in lost)

    async def announce(self, jobs: tuple[Job, ...]) -> None:
        backend, rules = self._parts.backend, self._parts.rules
        tracked = [job for job in jobs if job.definition.track_started]
        if tracked and backend is not None:
            records = tuple(rules.started(job.message, job.definition, os.getpid()) for job in tracked)
            await self._persist("store", lambda: backend.store(records))

    def owed(self, jobs: list[Job]) -> list[Job]:
        """Of jobs that have not begun, those the broker still counts on; what was acknowledged is sent anew, since
        nobody would hand it over again."""
        held = self._settler.held
        gone = [job for job in jobs if not job.definition.acks_late and job.receipt not in held]
        for job in gone:
            self._settler.add_acked(sent_again(job, self._parts.codec))
        return [job for job in jobs if job not in gone] if gone else jobs
