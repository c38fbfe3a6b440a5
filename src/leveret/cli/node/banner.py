"""What a worker says when it starts: whom it serves, and what to look at when nothing happens."""

from collections.abc import Sequence
from dataclasses import dataclass

from leveret import __version__
from leveret.cli.node.plan import Plan
from leveret.config.settings import Settings
from leveret.model.options import WorkerOptions
from leveret.ports.limiting.pauses import Pause

MOST_TASKS = 40

PROFILES = {
    "leveret": "9 is the most urgent priority, settled after the outcome is stored",
    "celery": "as a Celery cluster has it: its queue declarations, on Redis 0 is the most urgent priority, "
    "naive datetimes are UTC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the banner shows besides the options; addresses are full paths, passwords masked."""

    plan: Plan
    settings: Settings
    broker: str
    results: str
    fused: bool
    """Broker and store are one server."""
    most_slots: int | None = None
    """What the pool may grow to by need; None: it stays as it is."""
    paused: tuple[Pause, ...] = ()
    """What the cluster does not start at the moment."""
    schedule: str = ""
    """Where the schedule is kept; empty: this node fires nothing."""


def banner(options: WorkerOptions, facts: Facts) -> str:
    """All lines of it, without colours."""
    rows = [
        ("app", f"{facts.plan.name or facts.plan.app} ({options.app})"),
        ("broker", facts.broker),
        ("results", facts.results),
        ("pool", _pool(options) + (f", up to {facts.most_slots} slots by need" if facts.most_slots else "")),
        ("profile", f"{facts.settings.profile}: {PROFILES[facts.settings.profile]}"),
        ("connections", _connections(options, facts.fused)),
        ("queues", ", ".join(options.queues)),
    ]
    if facts.plan.entries:
        rows.append(("schedule", _schedule(len(facts.plan.entries), facts)))
    unserved = [queue for queue in facts.plan.routed if queue not in options.queues]
    if unserved:
        rows.append(("not served", f"{', '.join(unserved)}: tasks are routed there, this worker does not consume it"))
    for one in facts.paused:
        if one.kind == "task" or one.name in options.queues:
            rows.append(("paused", f"{one.kind} {one.name}, by {one.by}: leveret resume"))
    lines = [f"leveret {__version__} · {options.node.name}", *(f"  {name:<12}{text}" for name, text in rows)]
    return "\n".join([*lines, *_tasks(facts.plan.tasks)])


def _pool(options: WorkerOptions) -> str:
    if options.slots == 1:
        return f"{options.pool}, {_count(options.processes, 'process', 'processes')}"
    return f"{options.pool}, {options.slots} slots in {_count(options.processes, 'process', 'processes')}"


def _connections(options: WorkerOptions, fused: bool) -> str:
    each = 1 if fused else 2
    return f"{options.processes * each + 2} ({options.processes} x {each}, and 2 for the supervisor)"


def _schedule(count: int, facts: Facts) -> str:
    entries = _count(count, "entry of its code", "entries of its code")
    if not facts.schedule:
        return f"{entries}, not fired by this node"
    return entries if facts.schedule == facts.broker else f"{entries}, kept in {facts.schedule}"


def _tasks(tasks: Sequence[str]) -> list[str]:
    own = [name for name in tasks if not name.startswith("celery.")]
    if not own:
        return ["  tasks       none: does the app import the modules that define them (imports, autodiscover_tasks)?"]
    shown = [f"  tasks       {own[0]}", *(f"              {name}" for name in own[1:MOST_TASKS])]
    rest = len(own) - MOST_TASKS
    return [*shown, f"              and {rest} more"] if rest > 0 else shown


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
