"""`app.control.inspect()`: questions to nodes, under Celery's names (`celery/app/control.py:Inspect`)."""

from collections.abc import Iterable
from typing import Any

from leveret.client.control.terms import Asks, BroadcastOptions, flatten_reply
from leveret.client.schedules.face import blocking

Found = Any
"""By node; None: nobody answered. Where one node was asked for by its name alone: its answer."""


class Inspect:
    """Each question for callers' threads, and with `a` in front for their loops."""

    def __init__(
        self, control: Asks, destination: Iterable[str] | str | None = None, options: BroadcastOptions | None = None
    ) -> None:
        self._control, self._options = control, options or {}
        self.destination = destination

    async def aask(self, command: str, **arguments: Any) -> Found:
        """Any command, one of the app's own too."""
        wanted = self.destination
        options: BroadcastOptions = {**self._options, "reply": True}
        options["destination"] = [wanted] if isinstance(wanted, str) else wanted
        replies = await self._control.abroadcast(command, arguments, **options)
        if not replies:
            return None
        by_node = flatten_reply(replies)
        return by_node.get(wanted) if isinstance(wanted, str) else by_node

    def ask(self, command: str, **arguments: Any) -> Found:
        return self._now(self.aask(command, **arguments), "aask")

    _request = ask
    """Celery's name."""

    async def aping(self, destination: Iterable[str] | None = None) -> Found:
        if destination:
            self.destination = destination
        return await self.aask("ping")

    def ping(self, destination: Iterable[str] | None = None) -> Found:
        """`{node: {"ok": "pong"}}`."""
        return self._now(self.aping(destination), "aping")

    async def aactive(self, safe: bool | None = None) -> Found:
        return await self.aask("active", safe=safe)

    def active(self, safe: bool | None = None) -> Found:
        """What runs now, each with its arguments (as text with `safe`), process and start."""
        return self._now(self.aactive(safe), "aactive")

    async def ascheduled(self, safe: bool | None = None) -> Found:
        return await self.aask("scheduled")

    def scheduled(self, safe: bool | None = None) -> Found:
        """What a worker holds for later. Nodes of ours hold nothing: it waits in the broker."""
        return self._now(self.ascheduled(safe), "ascheduled")

    async def areserved(self, safe: bool | None = None) -> Found:
        return await self.aask("reserved")

    def reserved(self, safe: bool | None = None) -> Found:
        """What is claimed and has not begun."""
        return self._now(self.areserved(safe), "areserved")

    async def arevoked(self) -> Found:
        return await self.aask("revoked")

    def revoked(self) -> Found:
        """Ids of revoked tasks."""
        return self._now(self.arevoked(), "arevoked")

    async def aregistered(self, *taskinfoitems: str) -> Found:
        return await self.aask("registered", taskinfoitems=list(taskinfoitems))

    def registered(self, *taskinfoitems: str) -> Found:
        """Tasks, each with these of its attributes (`rate_limit` where none is named)."""
        return self._now(self.aregistered(*taskinfoitems), "aregistered")

    registered_tasks = registered

    async def aactive_queues(self) -> Found:
        return await self.aask("active_queues")

    def active_queues(self) -> Found:
        """What is consumed, as kombu describes queues."""
        return self._now(self.aactive_queues(), "aactive_queues")

    async def astats(self) -> Found:
        return await self.aask("stats")

    def stats(self) -> Found:
        return self._now(self.astats(), "astats")

    async def aconf(self, with_defaults: bool = False) -> Found:
        return await self.aask("conf", with_defaults=with_defaults)

    def conf(self, with_defaults: bool = False) -> Found:
        """Settings that were set; passwords masked."""
        return self._now(self.aconf(with_defaults), "aconf")

    async def aquery_task(self, *ids: Any) -> Found:
        wanted = ids[0] if len(ids) == 1 and isinstance(ids[0], list | tuple) else ids
        return await self.aask("query_task", ids=list(wanted))

    def query_task(self, *ids: Any) -> Found:
        """`{id: [state, info]}` of those that a node has; state is `active` or `reserved`."""
        return self._now(self.aquery_task(*ids), "aquery_task")

    async def areport(self) -> Found:
        return await self.aask("report")

    def report(self) -> Found:
        return self._now(self.areport(), "areport")

    async def astack(self) -> Found:
        return await self.aask("stack")

    def stack(self) -> Found:
        """By process: what each of its slots is doing, line by line. Celery's workers know no such question."""
        return self._now(self.astack(), "astack")

    async def aclock(self) -> Found:
        return await self.aask("clock")

    def clock(self) -> Found:
        return self._now(self.aclock(), "aclock")

    async def amemsample(self) -> Found:
        return await self.aask("memsample")

    def memsample(self) -> Found:
        return self._now(self.amemsample(), "amemsample")

    @staticmethod
    def _now(work: Any, twin: str) -> Found:
        return blocking(work, f"await app.control.inspect().{twin}(...)")
