"""What one session answers for: hand-overs by receipt, and what it has just settled."""

from collections import deque

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

    def __init__(self, session: str, connection: int, done: frozenset[Run] = frozenset()) -> None:
        self.session = session
        self.prefix = f"{session}.{connection}"
        """Of receipts: those of an earlier connection never fit again."""
        self.held: dict[Receipt, Held] = {}
        self.acknowledged: deque[Run] = deque(maxlen=_REMEMBERED)
        """What was acknowledged last: if the connection breaks now, the broker may not have heard."""
        self.done = done
        """The same of the connection before: what comes again of that is done."""
        self.ended: list[Run] = []
        """Runs the ledger may forget; told with the next claim."""


def run_of(encoded: Encoded, read: Properties) -> Run:
    """The run a message asks for; of hostile headers whatever they can be read as."""
    name, retries = encoded.headers.get("id"), encoded.headers.get("retries")
    # Protocol 1 has its id in the body; Celery's clients write it as correlation id too.
    return (name if isinstance(name, str) else read.correlation_id, retries if type(retries) is int else 0)
