"""What a worker is made of."""

from collections.abc import Callable
from dataclasses import dataclass, field

from leveret.logic.codec import Codec
from leveret.logic.recording import Rules
from leveret.model.control import Tally
from leveret.model.node import Node, Session
from leveret.model.task import Registry
from leveret.ports.backend import Backend
from leveret.ports.broker import Broker, Commit, Severable
from leveret.ports.clock import Clock
from leveret.ports.executor import Executor
from leveret.ports.leases import Chores, Leases
from leveret.ports.limiting.gate import Gate
from leveret.ports.limiting.pauses import Pauses
from leveret.ports.operations.events import EventBus
from leveret.ports.operations.revocations import Revocations
from leveret.ports.outbox import Outbox
from leveret.ports.slots import SlotPage


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """The ports and values one worker process works with; made by wiring."""

    broker: Broker
    leases: Leases
    executor: Executor
    codec: Codec
    registry: Registry
    rules: Rules
    clock: Clock
    session: Session
    node: Node
    backend: Backend | None = None
    """None: results are turned off."""
    commit: Commit | None = None
    """Broker and store in one transaction; None: the Settler takes the four steps."""
    chores: Chores | None = None
    revocations: Revocations | None = None
    """Where what is revoked is looked up at admission; None: a claim tells, or nobody knows."""
    gate: Gate | None = None
    """Where the cluster's limits are asked; None: nobody keeps any."""
    rate_limits: bool = True
    """Whether rate limits of nodes are kept."""
    pauses: Pauses | None = None
    """What the cluster does not start at the moment; None: nobody remembers it here."""
    outbox: Outbox | None = None
    """Where senders write down what they are about to send; None: there is nothing to finish for them."""
    page: SlotPage | None = None
    events: EventBus | None = None
    """None: there are none on this broker."""
    utcoffset: int = 0
    """Hours west of UTC, for events."""
    severable: Severable | None = None
    """The broker, where a session is a connection."""
    resident: Callable[[], int] = field(default=lambda: 0)
    """KiB of memory that this process holds now."""
    batches: bool = False
    """Whether some tasks are batch tasks; the executor is one that knows them then."""
    keeps_lease: bool = False
    """True where no supervisor renews the node's lease: the worker beats itself and leaves at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHooks:
    """What a worker tells whoever runs it. Called on the I/O loop; must not block."""

    on_ready: Callable[[str], None] = field(default=lambda session: None)
    """Registered (again, after its session was reaped): it claims from now on."""
    on_drained: Callable[[str], None] = field(default=lambda reason: None)
    """Everything is settled; `reason` says why when nobody asked."""
    on_leaving: Callable[[str], None] = field(default=lambda reason: None)
    """It claims nothing more, for that reason, while neighbours in its slots still run."""
    on_tally: Callable[[Tally], None] = field(default=lambda tally: None)
    """How much it has done, once a second at most."""
    on_waiting: Callable[[tuple[str, ...]], None] = field(default=lambda running: None)
    """A quiet worker still waits for these (`name[id]`), every ten seconds."""
