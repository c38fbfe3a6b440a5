"""A node as remote control sees it: what its processes say, and what it can be told to do."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.model.remote.steering import Steering
from leveret.supervisor.child import Child, State
from leveret.supervisor.lease import LeaseKeeper
from leveret.supervisor.place import NodeParts
from leveret.supervisor.remote.questions import AnsweredWithError, NoAnswer
from leveret.supervisor.scaling.autoscaler import Autoscaler
from leveret.supervisor.scaling.pool import Pool
from leveret.supervisor.telling.account import Account

ANSWER_SECONDS = 0.6
"""What a process has for its answer: whoever asks the node waits for a second."""
_AGAIN_SECONDS, _LEAST_SECONDS = 0.05, 0.01


class Supervised(Protocol):
    """`Supervisor`, as far as it is steered."""

    parts: NodeParts
    keeper: LeaseKeeper
    pool: Pool
    account: Account
    autoscaler: Autoscaler | None

    def children(self) -> list[Child]: ...

    def stop(self) -> None: ...

    def reload(self) -> None: ...


class Crew:
    """Used on the supervisor's loop only."""

    def __init__(self, supervisor: Supervised, options: WorkerOptions) -> None:
        self._supervisor, self.options = supervisor, options

    @property
    def node(self) -> Node:
        """As the fleet sees it now."""
        return self._supervisor.parts.node or self.options.node

    # Asking

    def ready(self) -> list[Child]:
        return [child for child in self._supervisor.children() if child.state is not State.STARTING]

    def pids(self) -> list[int]:
        return [child.pid for child in self._supervisor.children()]

    def total(self) -> Mapping[str, int]:
        return self._supervisor.parts.total

    def commands(self) -> Mapping[str, str]:
        """What the app adds: name and kind."""
        return {name: kind for child in self.ready() for name, kind in child.commands}

    async def ask_all(
        self, method: str, arguments: Mapping[str, Any] | None = None, seconds: float = ANSWER_SECONDS
    ) -> list[tuple[Child, Any]]:
        """What each process says; who does not answer is left out."""
        children = self.ready()
        answers = await asyncio.gather(*(self._asked(child, method, arguments or {}, seconds) for child in children))
        return [(child, answer[0]) for child, answer in zip(children, answers, strict=True) if answer is not None]

    async def ask_one(
        self, method: str, arguments: Mapping[str, Any] | None = None, seconds: float = ANSWER_SECONDS
    ) -> Any:
        """What any of them says: the idlest that answers, or one that gets ready meanwhile. Raises `NoAnswer`,
        `AnsweredWithError`."""
        clock = self._supervisor.parts.clock
        end = clock.monotonic() + seconds
        while (left := end - clock.monotonic()) > 0:
            children = sorted(self.ready(), key=lambda child: len(child.page.view().running))
            for place, child in enumerate(children):
                try:
                    return await child.questions.ask(method, arguments or {}, left / (len(children) - place))
                except NoAnswer:
                    left = max(end - clock.monotonic(), _LEAST_SECONDS)
            await asyncio.sleep(_AGAIN_SECONDS)
        raise NoAnswer("no worker process of this node answers")

    async def _asked(
        self, child: Child, method: str, arguments: Mapping[str, Any], seconds: float
    ) -> tuple[Any] | None:
        try:
            return (await child.questions.ask(method, arguments, seconds),)
        except (NoAnswer, AnsweredWithError):
            return None

    # Steering

    @property
    def steering(self) -> Steering:
        return self._supervisor.parts.steering

    @property
    def queues(self) -> tuple[str, ...]:
        return self.options.queues if self.steering.queues is None else self.steering.queues

    def steer(self, **changes: Any) -> None:
        """Have every process, and those to come, go by this."""
        parts = self._supervisor.parts
        parts.steering = replace(parts.steering, **changes)
        for child in self._supervisor.children():
            child.steer(parts.steering)

    async def describe(self, **changes: Any) -> None:
        """Tell the fleet what has changed of this node."""
        node = self._supervisor.parts.node = replace(self.node, **changes)
        await self._supervisor.keeper.change(node)

    @property
    def slots(self) -> int:
        """All of the node's."""
        return self._supervisor.pool.slots

    async def resize(self, by: int) -> None:
        """More slots or fewer. Raises CallerError where that cannot be."""
        await self._supervisor.pool.resize(by)

    @property
    def autoscaler(self) -> Autoscaler | None:
        """None: the pool is as large as it is told to be."""
        return self._supervisor.autoscaler

    def send_events(self, on: bool) -> bool:
        """Have the node tell of its tasks, or not any more. False: it was so already."""
        return self._supervisor.account.send_events(on)

    def stop(self) -> None:
        self._supervisor.stop()

    def reload(self) -> None:
        self._supervisor.reload()
