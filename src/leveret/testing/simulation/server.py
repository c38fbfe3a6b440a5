"""The memory server under observation: every fact goes into the history at the moment it becomes true."""

from collections.abc import Callable

from leveret.links.memory.messages import Holding, Messages
from leveret.links.memory.nodes import Nodes
from leveret.links.memory.queues import Row
from leveret.links.memory.records import Records
from leveret.links.memory.server import MemoryServer
from leveret.model.delivery import Delivery, Posting
from leveret.model.node import Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Committed, Joined, Record, Seat, Stale
from leveret.ports.clock import Clock
from leveret.testing.simulation.history import History


class WatchedRecords(Records):
    history: History

    def store(self, record: Record, now: float) -> bool:
        stored = super().store(record, now)
        if stored:
            self.history.stored(record)
        return stored

    def arrive(self, seat: Seat, now: float) -> Joined:
        joined = super().arrive(seat, now)
        self.history.joined(joined)
        return joined


class WatchedMessages(Messages):
    history: History

    def waiting(self) -> list[str]:
        """The ids of everything that has not ended."""
        return list(self._live)

    def open(self, session: Session) -> None:
        # A worker whose session was reaped comes back under another id.
        if session.quarantine:
            self.history.quarantines.add(session.id)
        super().open(session)

    def _enter(self, posting: Posting, now: float) -> None:
        self.history.entered(posting)
        super()._enter(posting, now)

    def _hand_over(self, row: Row, holding: Holding) -> Delivery:
        delivery = super()._hand_over(row, holding)
        self.history.handed(row.posting, delivery, holding.session.id)
        return delivery


class WatchedServer(MemoryServer):
    """The class attributes are what a mutant replaces."""

    records_class: type[WatchedRecords] = WatchedRecords
    messages_class: type[WatchedMessages] = WatchedMessages
    nodes_class: type[Nodes] = Nodes
    messages: WatchedMessages

    def __init__(self, options: DriverOptions, clock: Clock, alive: Callable[[int], bool], history: History) -> None:
        super().__init__(options, clock, alive, name="memory://simulation")
        self.history = history
        self.records = self.records_class(options, self.results)
        self.messages = self.messages_class(options, self.bells, self.records.stops)
        self.nodes = self.nodes_class(options, self.messages, alive)
        self.records.history = self.messages.history = history

    def _settle(self, commitment: Commitment, now: float) -> Committed | Stale:
        answer = super()._settle(commitment, now)
        if isinstance(answer, Committed):
            self.history.settled(commitment.receipt, commitment.verdict.value)
        else:
            self.history.refused += 1
        return answer

    def _commit(self, commitment: Commitment, now: float) -> Committed | Stale:
        answer = super()._commit(commitment, now)
        if isinstance(answer, Stale):
            self.history.refused += 1
        return answer
