"""What a node answers to each command, in Celery's words (`celery/worker/control.py`)."""

import asyncio
import mmap
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from leveret.logic.remote.commands import INSPECT, KNOWN
from leveret.ports.clock import Clock
from leveret.supervisor.remote.crew import ANSWER_SECONDS, Crew
from leveret.supervisor.remote.revoking import Revoking
from leveret.supervisor.remote.turning import Turning

resource: Any
try:
    import resource
except ImportError:  # Windows does not tell
    resource = None

CUSTOM_SECONDS = 10.0
"""A command of the app may take its time: whoever asks decides how long he waits."""

Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What wiring knows of a node and its settings."""

    broker: Mapping[str, Any] = field(default_factory=dict)
    """As kombu describes a connection."""
    report: Callable[[], str] = lambda: ""
    pool: str = ""
    """The class of the pool, by Celery's name where it has one."""
    timeouts: tuple[float, float] = (0, 0)
    """Soft and hard."""
    pool_restarts: bool = False
    scheduled: Callable[[tuple[str, ...]], Awaitable[Any]] = field(default=lambda queues: _nothing())
    """What the broker holds for these queues until later."""


async def _nothing() -> Any:
    return []


class Unknown(KeyError):
    """A command nobody has here; its repr is what a Celery worker answers."""

    def __repr__(self) -> str:
        return f"KeyError({self.args[0]!r})"


class Panel:
    """`handle` answers what goes back; what it raises goes back too, as `{"error": repr}`."""

    def __init__(self, crew: Crew, facts: NodeFacts, clock: Clock, revoking: Revoking) -> None:
        self._crew, self._facts, self._clock, self._revoking = crew, facts, clock, revoking
        self.time = 0
        """The Lamport clock, kept by whoever listens."""
        turning = Turning(crew, facts.pool_restarts)
        parts: tuple[Mapping[str, Handler], ...] = (self._looking(), turning.handlers(), revoking.handlers())
        self._handlers = {name: handler for part in parts for name, handler in part.items()}

    def changes(self, method: str) -> bool:
        """Whether the command changes anything, or is unknown."""
        known = KNOWN.get(method)
        if known is not None:
            return known.changes
        return self._crew.commands().get(method) != INSPECT

    async def handle(self, method: str, arguments: Mapping[str, Any]) -> Any:
        known = KNOWN.get(method)
        handler = None if known is None else self._handlers.get(known.name)
        if handler is not None:
            return await handler(**arguments)
        if method in self._crew.commands():
            asked = {"name": method, "arguments": dict(arguments)}
            return await self._crew.ask_one("custom", asked, CUSTOM_SECONDS)
        raise Unknown(method)

    def _looking(self) -> Mapping[str, Handler]:
        return {
            "ping": self._ping,
            "clock": self._lamport,
            "hello": self._hello,
            "active": self._active,
            "reserved": self._reserved,
            "scheduled": self._scheduled,
            "revoked": self._revoked,
            "registered": self._registered,
            "active_queues": self._active_queues,
            "query_task": self._query_task,
            "stats": self._stats,
            "stack": self._stack,
            "conf": self._conf,
            "report": self._report,
            "memsample": self._memsample,
        }

    async def _ping(self, **_: Any) -> Any:
        return {"ok": "pong"}

    async def _lamport(self, **_: Any) -> Any:
        return {"clock": self.time}

    async def _hello(self, from_node: str = "", revoked: Any = None, **_: Any) -> Any:
        """A Celery worker that starts asks what is revoked; what it tells us was broadcast when it was revoked."""
        if from_node == self._crew.node.name:
            return None
        return {"revoked": await self._revoking.ids(), "clock": self.time}

    async def _active(self, safe: bool | None = None, **_: Any) -> Any:
        answers = await self._crew.ask_all("active", {"safe": bool(safe)})
        return [one for _, told in answers for one in told]

    async def _reserved(self, **_: Any) -> Any:
        return [one for _, told in await self._crew.ask_all("reserved") for one in told]

    async def _scheduled(self, **_: Any) -> Any:
        """Celery's workers hold them; here the broker does, for all nodes that consume the queue."""
        async with asyncio.timeout(ANSWER_SECONDS):
            return await self._facts.scheduled(tuple(self._crew.queues))

    async def _revoked(self, **_: Any) -> Any:
        return await self._revoking.ids()

    async def _registered(self, taskinfoitems: Any = None, builtins: bool = False, **_: Any) -> Any:
        return await self._crew.ask_one("registered", {"items": list(taskinfoitems or ()), "builtins": bool(builtins)})

    async def _active_queues(self, **_: Any) -> Any:
        return await self._crew.ask_one("active_queues", {"queues": list(self._crew.queues)})

    async def _query_task(self, ids: Any = (), **_: Any) -> Any:
        wanted = [ids] if isinstance(ids, str) else list(ids)
        answers = await self._crew.ask_all("query_task", {"ids": wanted})
        return {key: state for _, told in answers for key, state in told.items()}

    async def _conf(self, with_defaults: bool = False, **_: Any) -> Any:
        return await self._crew.ask_one("conf", {"with_defaults": bool(with_defaults)})

    async def _report(self, **_: Any) -> Any:
        return {"ok": self._facts.report()}

    async def _memsample(self, **_: Any) -> Any:
        """Of the node as a whole: Celery's main process runs no tasks either, but here it holds nothing at all."""
        return f"{sum(map(_resident, (os.getpid(), *self._crew.pids()))) / 2**20:.2f}MB"

    async def _stack(self, **_: Any) -> Any:
        return {str(child.pid): slots for child, slots in await self._crew.ask_all("stack")}

    async def _stats(self, by_queue: bool = False, **_: Any) -> Any:
        """`by_queue`, which Celery's workers pass over: how many tasks came out of each queue, too."""
        crew, options = self._crew, self._crew.options
        answers = await crew.ask_all("stats")
        total = sum((Counter(told["total"]) for _, told in answers), Counter(crew.total()))
        queues = sum((Counter(told["queues"]) for _, told in answers), Counter[str]())
        return {
            "total": dict(total),
            **({"queues": dict(queues)} if by_queue else {}),
            "pid": os.getpid(),
            "clock": str(self.time),
            "uptime": round(self._clock.now() - crew.node.started),
            "pool": {
                "implementation": self._facts.pool,
                "max-concurrency": crew.slots,
                "processes": crew.pids(),
                "max-tasks-per-child": options.max_tasks_per_child or "N/A",
                "put-guarded-by-semaphore": False,
                "timeouts": list(self._facts.timeouts),
                "writes": _writes(answers),
            },
            **self._autoscaler(),
            "broker": dict(self._facts.broker),
            "prefetch_count": sum(told["credit"] for _, told in answers),
            "rusage": _usage(),
        }

    def _autoscaler(self) -> dict[str, Any]:
        """Celery's `Autoscaler.info`; it has no such field where there is none."""
        scaler = self._crew.autoscaler
        if scaler is None:
            return {}
        slots = self._crew.slots
        return {"autoscaler": {"max": scaler.limits.most, "min": scaler.limits.least, "current": slots, "qty": slots}}


def _writes(answers: list[tuple[Any, Any]]) -> Mapping[str, Any]:
    """How the tasks are spread over the processes: Celery's figures for a pool whose main process hands them out."""
    counts = [sum(told["total"].values()) for _, told in answers]
    total = sum(counts)
    shares = [count / total if total else 0.0 for count in counts]
    return {
        "total": total,
        "avg": f"{sum(shares) / len(shares) if shares else 0.0:.2f}",
        "all": ", ".join(f"{share:.2f}" for share in shares),
        "raw": ", ".join(map(str, counts)),
        "strategy": "fair",
        "inqueues": {"total": len(counts), "active": sum(bool(told["running"]) for _, told in answers)},
    }


_USAGE = (
    "utime", "stime", "maxrss", "ixrss", "idrss", "isrss", "minflt", "majflt", "nswap", "inblock", "oublock",
    "msgsnd", "msgrcv", "nsignals", "nvcsw", "nivcsw",
)  # fmt: skip


def _usage() -> Any:
    if resource is None:
        return "N/A"
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {name: getattr(used, f"ru_{name}") for name in _USAGE}


def _resident(pid: int) -> int:
    """Bytes; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return 0
