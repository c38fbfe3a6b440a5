"""The commands that change how a node works: its queues, slots, limits, events, its life."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from leveret.logic.pools.scaling import Limits
from leveret.model.limiting.pace import per_second
from leveret.model.remote.steering import Added, Limit
from leveret.supervisor.remote.crew import Crew

Handler = Callable[..., Awaitable[Any]]
Reply = dict[str, str]


def ok(text: str) -> Reply:
    return {"ok": text}


def nok(text: str) -> Reply:
    return {"error": text}


class Turning:
    def __init__(self, crew: Crew, pool_restarts: bool) -> None:
        self._crew, self._pool_restarts = crew, pool_restarts

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "add_consumer": self._add_consumer,
            "cancel_consumer": self._cancel_consumer,
            "pool_grow": self._pool_grow,
            "pool_shrink": self._pool_shrink,
            "pool_restart": self._pool_restart,
            "autoscale": self._autoscale,
            "rate_limit": self._rate_limit,
            "time_limit": self._time_limit,
            "enable_events": self._enable_events,
            "disable_events": self._disable_events,
            "heartbeat": self._heartbeat,
            "election": self._election,
            "shutdown": self._shutdown,
        }

    async def _add_consumer(
        self,
        queue: str,
        exchange: str | None = None,
        exchange_type: str | None = None,
        routing_key: str | None = None,
        **_: Any,
    ) -> Reply:
        crew = self._crew
        added = Added(
            name=queue,
            exchange=exchange or "",
            exchange_type=exchange_type or "direct",
            routing_key=routing_key or "",
        )
        # First how it is bound, so that a process that consumes it knows.
        queues = crew.queues if queue in crew.queues else (*crew.queues, queue)
        others = tuple(one for one in crew.steering.added if one.name != queue)
        crew.steer(queues=queues, added=(*others, added))
        await crew.describe(queues=queues)
        return ok(f"add consumer {queue}")

    async def _cancel_consumer(self, queue: str, **_: Any) -> Reply:
        queues = tuple(name for name in self._crew.queues if name != queue)
        self._crew.steer(queues=queues)
        await self._crew.describe(queues=queues)
        return ok(f"no longer consuming from {queue}")

    async def _pool_grow(self, n: int = 1, **_: Any) -> Reply:
        await self._crew.resize(int(n))
        return ok("pool will grow")

    async def _pool_shrink(self, n: int = 1, **_: Any) -> Reply:
        await self._crew.resize(-int(n))
        return ok("pool will shrink")

    async def _pool_restart(self, modules: Any = None, reload: bool = False, reloader: Any = None, **_: Any) -> Reply:
        """The app is imported anew in any case, so `modules` and `reload` say nothing more."""
        if not self._pool_restarts:
            raise ValueError("Pool restarts not enabled")
        self._crew.reload()
        return ok("reload started")

    async def _autoscale(self, max: int | None = None, min: int | None = None, **_: Any) -> Reply:
        scaler = self._crew.autoscaler
        if scaler is None:
            raise ValueError("Autoscale not enabled")
        known = scaler.limits
        scaler.limits = Limits(
            most=known.most if max is None else int(max), least=known.least if min is None else int(min)
        )
        return ok(f"autoscale now max={scaler.limits.most} min={scaler.limits.least}")

    async def _rate_limit(self, task_name: str = "", rate_limit: Any = None, **_: Any) -> Reply:
        try:
            per_second(rate_limit)
        except ValueError as error:
            return nok(f"Invalid rate limit string: {error!r}")
        if task_name not in self._crew.node.tasks:
            return nok("unknown task")
        # 0 takes away the limit that the task itself has.
        self._crew.steer(rates={**self._crew.steering.rates, task_name: str(rate_limit or 0)})
        return ok("new rate limit set successfully" if rate_limit else "rate limit disabled successfully")

    async def _time_limit(self, task_name: str = "", hard: Any = None, soft: Any = None, **_: Any) -> Reply:
        if task_name not in self._crew.node.tasks:
            return nok("unknown task")
        limit = Limit(soft=None if soft is None else float(soft), hard=None if hard is None else float(hard))
        self._crew.steer(limits={**self._crew.steering.limits, task_name: limit})
        return ok("time limits set successfully")

    async def _enable_events(self, **_: Any) -> Reply:
        return ok("task events enabled" if self._crew.send_events(True) else "task events already enabled")

    async def _disable_events(self, **_: Any) -> Reply:
        return ok("task events disabled" if self._crew.send_events(False) else "task events already disabled")

    async def _heartbeat(self, **_: Any) -> None:
        return None

    async def _election(self, id: str = "", topic: str = "", action: Any = None, **_: Any) -> None:
        return None

    async def _shutdown(self, msg: str = "", **_: Any) -> Reply:
        self._crew.stop()
        return ok("shutting down")
