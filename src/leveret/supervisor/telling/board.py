"""A node's metrics and whether it is healthy, put together when somebody asks."""

import asyncio
import os
from collections import Counter
from collections.abc import Mapping

from leveret.ports.admin import Admin
from leveret.ports.clock import Clock
from leveret.ports.leases import Leases
from leveret.supervisor.telling import exposition
from leveret.supervisor.telling.account import Account
from leveret.supervisor.telling.exposition import family
from leveret.supervisor.telling.http import Answer
from leveret.supervisor.telling.queues import look

USER_METRICS = "PROMETHEUS_MULTIPROC_DIR"
"""Where `prometheus_client` keeps the metrics of several processes."""


class Board:
    """`answer` is the web server's; `ready` says why the node is not, empty when it is."""

    def __init__(self, account: Account, admin: Admin, leases: Leases, clock: Clock, facts: Mapping[str, str]) -> None:
        """`facts`: labels of `leveret_info`; `node` is one of them."""
        self._account, self._admin, self._leases, self._clock, self._facts = account, admin, leases, clock, facts
        self.deaths: Counter[str] = Counter()
        """Processes that died, by reason."""

    async def answer(self, path: str) -> Answer:
        match path:
            case "/healthz":
                # Whoever answers lives: the loop that looks after the processes is the one that says so.
                return Answer(200, "ok\n")
            case "/readyz":
                why = self._account.not_ready()
                return Answer(503, f"{why}\n") if why else Answer(200, "ok\n")
            case "/metrics":
                return Answer(200, await self._metrics(), exposition.CONTENT_TYPE)
            case "/":
                return Answer(200, "/healthz /readyz /metrics\n")
            case _:
                return Answer(404, "not found\n")

    async def _metrics(self) -> str:
        queues = await self._queues()
        return self._node() + exposition.tasks(self._account.tasks()) + queues + await asyncio.to_thread(_of_users)

    def _node(self) -> str:
        total = self._account.total()
        return (
            family("leveret_info", "gauge", "What runs here.", [(self._facts, 1)])
            + family("leveret_ready", "gauge", "Whether every process is ready.", [({}, not self._account.not_ready())])
            + family("leveret_worker_processes", "gauge", "Processes that live.", [({}, self._account.processes())])
            + family("leveret_tasks_running", "gauge", "Tasks that run now.", [({}, total.active)])
            + family(
                "leveret_tasks_processed_total", "counter", "Runs that ended on this node.", [({}, total.processed)]
            )
            + family(
                "leveret_process_deaths_total",
                "counter",
                "Processes that died without being asked to, by reason.",
                [({"reason": reason}, count) for reason, count in sorted(self.deaths.items())] or [({"reason": ""}, 0)],
            )
        )

    async def _queues(self) -> str:
        seen = await look(self._admin, self._leases)
        if seen is None:
            return _broker_up(0)
        return _broker_up(1) + exposition.queues(seen.counts, seen.served, self._clock.now())


def _broker_up(value: int) -> str:
    return family("leveret_broker_up", "gauge", "Whether the broker answered.", [({}, value)])


def _of_users() -> str:
    """What tasks counted with `prometheus_client`, summed over the node's processes, those that died included."""
    folder = os.environ.get(USER_METRICS)
    if not folder:
        return ""
    try:
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector
    except ImportError:
        return ""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry).decode()
