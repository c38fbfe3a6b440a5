"""What `doctor` finds, and what it looks at. Moments are unix seconds."""

from msgspec import Struct

from leveret.model.delivery import QueueCounts
from leveret.model.limiting.gate import BoundState
from leveret.model.node import Node

ERROR, WARNING, NOTE = "error", "warning", "note"
ALARM = "alarm"
"""The check of a broker that takes no messages: nodes cannot be asked anything then."""


class Finding(Struct, frozen=True, kw_only=True):
    severity: str
    """`error`: tasks are, or will be, lost, refused or never run; `warning`: they may be; `note`: worth knowing."""
    check: str
    """For programs, and to find it in the docs."""
    where: str
    """The server, queue, node or setting."""
    text: str
    change: str
    """The line to change, or the command to give."""


class Needs(Struct, frozen=True, kw_only=True):
    """What a server is looked at for."""

    results_only: bool = False
    """It keeps outcomes and no messages."""
    longest_limit: float | None = None
    """Seconds: the longest time limit of a task."""
    longest_task: str = ""
    processes: int = 0
    """Worker processes of the nodes that are alive."""
    queues: tuple[str, ...] = ()


class Scheduled(Struct, frozen=True, kw_only=True):
    """An entry of the schedule, as far as it can be late."""

    name: str
    due: float | None
    paused: bool


class Household(Struct, frozen=True, kw_only=True):
    """What is not of one server: queues, nodes, tasks, schedule and settings together."""

    now: float
    address: str
    results_address: str = ""
    nodes: tuple[Node, ...] = ()
    silent: tuple[str, ...] = ()
    """Nodes whose lease is alive and that do not answer."""
    nodes_known: bool = True
    """Whether this broker, or its store, knows which nodes are alive."""
    counts: tuple[QueueCounts, ...] = ()
    routed: tuple[str, ...] = ()
    """Queues that this app sends to."""
    waiting: tuple[tuple[str, str], ...] = ()
    """(queue, task) of some messages that wait."""
    dead_lately: int = 0
    """Dead letters of the last hour, as far as looked."""
    schedule: tuple[Scheduled, ...] = ()
    results_expire: bool = True
    stores_results: bool = True
    limited: tuple[str, ...] = ()
    """Tasks of this app that are declared with limits."""
    keeps_limits: bool = True
    lines: tuple[BoundState, ...] = ()
    """The longest lines before limits."""
    remarks: tuple[str, ...] = ()
    """What the configuration says of settings that were set."""
    open_files: int | None = None
    """How many this process may open."""
