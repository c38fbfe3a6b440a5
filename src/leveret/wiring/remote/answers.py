"""What a worker process answers to remote control for its app."""

import asyncio
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, cast

from leveret.client.control import custom
from leveret.config.configuration import DEFAULT, Configuration
from leveret.logic.remote.plain import plain
from leveret.logic.remote.queues import queue_as_dict
from leveret.model.queue import Exchange, Queue
from leveret.model.remote.steering import Added, Steering
from leveret.model.task import Registry
from leveret.model.topology import Topology


class AppAnswers:
    """What a worker process answers for its app. `steer` keeps what remote control changed of it."""

    def __init__(self, app: Any, conf: Configuration, tasks: Registry, topology: Topology, hostname: str) -> None:
        self._app, self._conf, self._tasks, self._topology = app, conf, tasks, topology
        self._hostname = hostname
        self._steering = Steering()
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "registered": self._registered,
            "active_queues": self._active_queues,
            "conf": self._settings,
        }

    @property
    def commands(self) -> tuple[tuple[str, str], ...]:
        return tuple((name, info.kind) for info in custom.added() for name in (info.name, info.alias) if name)

    def steer(self, steering: Steering) -> None:
        self._steering = steering
        learn(self._topology, steering.added)

    async def answer(self, method: str, arguments: Mapping[str, Any]) -> Any:
        if method == "custom":
            return await self._custom(arguments["name"], arguments["arguments"])
        return self._answers[method](arguments)

    async def _custom(self, name: str, arguments: Mapping[str, Any]) -> Any:
        info = custom.find(name)
        if info is None or info.function is None:
            raise KeyError(name)
        state = custom.ControlState(self._app, self._hostname)
        # User code: never on the I/O loop.
        return await asyncio.to_thread(info.function, state, **arguments)

    def _registered(self, arguments: Mapping[str, Any]) -> Any:
        items = [item for item in arguments["items"] if isinstance(item, str) and not item.startswith("_")]
        names = [name for name in sorted(self._tasks) if arguments["builtins"] or not name.startswith("celery.")]
        return [self._described(name, items or ["exchange", "routing_key", "rate_limit"]) for name in names]

    def _described(self, name: str, items: Sequence[str]) -> str:
        task = self._app.tasks[name]
        steered = {"rate_limit": self._steering.rates.get(name)}
        found = {item: steered.get(item) or getattr(task, item, None) for item in items}
        shown = [f"{item}={value}" for item, value in found.items() if value is not None]
        return f"{name} [{' '.join(shown)}]" if shown else name

    def _active_queues(self, arguments: Mapping[str, Any]) -> Any:
        return [queue_as_dict(self._topology.queue(name)) for name in arguments["queues"]]

    def _settings(self, arguments: Mapping[str, Any]) -> Any:
        rows = self._conf.origins()
        return {name: plain(value) for name, value, origin in rows if arguments["with_defaults"] or origin != DEFAULT}


def learn(topology: Topology, added: Sequence[Added]) -> None:
    """Know how a queue is bound that a node was told to consume, where it was told how."""
    queues = cast("MutableMapping[str, Queue]", topology.queues)
    for one in added:
        if one.exchange and one.name not in queues:
            exchange = Exchange(one.exchange, one.exchange_type)
            queues[one.name] = Queue(one.name, exchange, one.routing_key or one.name)
