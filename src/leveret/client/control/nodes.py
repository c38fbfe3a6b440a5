"""The half of `app.control` that steers nodes."""

from typing import Any

from leveret.client.control.terms import Replies, Sender


class OfNodes(Sender):
    async def aadd_consumer(
        self, queue: str, exchange: str | None = None, exchange_type: str = "direct", routing_key: str | None = None,
        **options: Any,
    ) -> Replies | None:  # fmt: skip
        arguments = {"queue": queue, "exchange": exchange, "exchange_type": exchange_type, "routing_key": routing_key}
        return await self.abroadcast("add_consumer", arguments, **options)

    def add_consumer(
        self, queue: str, exchange: str | None = None, exchange_type: str = "direct", routing_key: str | None = None,
        **options: Any,
    ) -> Replies | None:  # fmt: skip
        """Have nodes consume one more queue, until they are started anew."""
        return self._now(self.aadd_consumer(queue, exchange, exchange_type, routing_key, **options), "aadd_consumer")

    async def acancel_consumer(self, queue: str, **options: Any) -> Replies | None:
        return await self.abroadcast("cancel_consumer", {"queue": queue}, **options)

    def cancel_consumer(self, queue: str, **options: Any) -> Replies | None:
        return self._now(self.acancel_consumer(queue, **options), "acancel_consumer")

    async def apool_grow(self, n: int = 1, **options: Any) -> Replies | None:
        return await self.abroadcast("pool_grow", {"n": n}, **options)

    def pool_grow(self, n: int = 1, **options: Any) -> Replies | None:
        return self._now(self.apool_grow(n, **options), "apool_grow")

    async def apool_shrink(self, n: int = 1, **options: Any) -> Replies | None:
        return await self.abroadcast("pool_shrink", {"n": n}, **options)

    def pool_shrink(self, n: int = 1, **options: Any) -> Replies | None:
        return self._now(self.apool_shrink(n, **options), "apool_shrink")

    async def apool_restart(
        self, modules: Any = None, reload: bool = False, reloader: Any = None, **options: Any
    ) -> Replies | None:
        arguments = {"modules": modules, "reload": reload, "reloader": reloader}
        return await self.abroadcast("pool_restart", arguments, **options)

    def pool_restart(
        self, modules: Any = None, reload: bool = False, reloader: Any = None, **options: Any
    ) -> Replies | None:
        """Have nodes import the app anew (`worker_pool_restarts`)."""
        return self._now(self.apool_restart(modules, reload, reloader, **options), "apool_restart")

    async def aautoscale(self, max: int, min: int, **options: Any) -> Replies | None:
        return await self.abroadcast("autoscale", {"max": max, "min": min}, **options)

    def autoscale(self, max: int, min: int, **options: Any) -> Replies | None:
        return self._now(self.aautoscale(max, min, **options), "aautoscale")

    async def aenable_events(self, **options: Any) -> Replies | None:
        return await self.abroadcast("enable_events", **options)

    def enable_events(self, **options: Any) -> Replies | None:
        return self._now(self.aenable_events(**options), "aenable_events")

    async def adisable_events(self, **options: Any) -> Replies | None:
        return await self.abroadcast("disable_events", **options)

    def disable_events(self, **options: Any) -> Replies | None:
        return self._now(self.adisable_events(**options), "adisable_events")

    async def aheartbeat(self, **options: Any) -> Replies | None:
        return await self.abroadcast("heartbeat", **options)

    def heartbeat(self, **options: Any) -> Replies | None:
        return self._now(self.aheartbeat(**options), "aheartbeat")

    async def ashutdown(self, **options: Any) -> Replies | None:
        return await self.abroadcast("shutdown", **options)

    def shutdown(self, **options: Any) -> Replies | None:
        """Have nodes stop: what runs is finished, the rest goes back."""
        return self._now(self.ashutdown(**options), "ashutdown")
