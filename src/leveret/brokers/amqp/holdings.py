"""What one session answers for: hand-overs by receipt, and what it has just settled."""

from collections import deque
from collections.abc import Iterable

import msgspec

from leveret.links.amqp.letters import Facts
from leveret.links.amqp.protocol.properties import Properties
from leveret.model.delivery import Encoded, Receipt
from leveret.ports.ledger import Run

_REMEMBERED = 2_000


class Held(msgspec.Struct, frozen=True, gc=False):
    """One hand-over."""

    tag: int
    run: Run
    queue: str
    encoded: Encoded
    facts: Facts
    read: Properties


class Holdings:
    """Owned by the worker's loop."""

    def __init__(self, session: str, connection: int, done: Iterable[Run] = ()) -> None:
        self.session = session
        self.prefix = f"{session}.{connection}"
        """Of receipts: those of an earlier connection never fit again."""
        self.held: dict[Receipt, Held] = {}
        self.acknowledged: deque[Run] = deque(maxlen=_REMEMBERED)
        """What was acknowledged last: if the connection breaks now, the broker may not have heard."""
        self.done = set(done)
        """The same of the connection before, and what it left running here and has ended since: what comes again of
        that is done."""
        self.ended: list[Run] = []
        """Runs the ledger may forget; told with the next claim."""


class Orphans:
    """Runs whose connection is gone and that go on here. The broker hands them over again at once: whoever gets one
    must not begin it beside us, and needs not at all when it has ended."""

    def __init__(self) -> None:
        self._runs: dict[Receipt, Run] = {}

    def take_in(self, holdings: Holdings) -> None:
        """All that a lost connection had handed over; what has not begun is given back before long."""
        self._runs.update({receipt: held.run for receipt, held in holdings.held.items()})
        holdings.held.clear()

    def settle(self, receipt: Receipt, holdings: Holdings, *, ended: bool) -> None:
        """One is over. `ended`: its outcome and what follows are stored or sent."""
        run = self._runs.pop(receipt, None)
        if run is not None:
            holdings.ended.append(run)
            if ended:
                holdings.acknowledged.append(run)
                holdings.done.add(run)

    def find(self, receipts: Iterable[Receipt]) -> dict[Receipt, Run]:
        return {receipt: self._runs[receipt] for receipt in receipts if receipt in self._runs}

    def forget(self, receipts: Iterable[Receipt]) -> None:
        for receipt in receipts:
            self._runs.pop(receipt, None)

    def runs(self) -> tuple[Run, ...]:
        return tuple(self._runs.values())

    def __contains__(self, run: object) -> bool:
        return run in self._runs.values()


def run_of(encoded: Encoded, read: Properties) -> Run:
    """The run a message asks for; of hostile headers whatever they can be read as."""
    name, retries = encoded.headers.get("id"), encoded.headers.get("retries")
    # Protocol 1 has its id in the body; Celery's clients write it as correlation id too.
    return (name if isinstance(name, str) else read.correlation_id, retries if type(retries) is int else 0)
