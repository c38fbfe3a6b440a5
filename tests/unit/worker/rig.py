"""A worker on the memory driver, the real clock and a real executor, with a few tasks."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from leveret.brokers.memory import MemoryDriver
from leveret.executors.coroutine import CoroutineExecutor
from leveret.executors.inline import InlineExecutor
from leveret.executors.thread import ThreadExecutor
from leveret.links.memory.server import MemoryServer
from leveret.logic.codec import Codec, Limits
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.following import Following
from leveret.logic.recording import Rules
from leveret.logic.results import ResultMeta, read_meta
from leveret.logic.serializers import Serializers, builtin_serializers
from leveret.model.delivery import SessionId
from leveret.model.endpoint import Url
from leveret.model.message import Message, TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions, WorkerOptions
from leveret.model.task import TaskDefinition
from leveret.wiring.clock import SystemClock
from leveret.worker.context import WorkerHooks, WorkerParts
from leveret.worker.runner import Runner
from leveret.worker.worker import Worker

CODEC = Codec(
    Serializers(builtin_serializers()),
    Compressions(builtin_compressions()),
    Limits(),
    accept=frozenset({"json"}),
)


class QuickClock(SystemClock):
    """The real clock without patience: back-off is as short as it gets."""

    def jitter(self) -> float:
        return 0.0


CLOCK = QuickClock()
NODE = Node(name="w@here", incarnation="1", boot="boot", pid=1, queues=("default",))
SESSION = Session(id=SessionId("s1"), node=NODE.name, incarnation="1", pid=1)
EXECUTORS: dict[str, Callable[..., Any]] = {
    "prefork": InlineExecutor,
    "threads": ThreadExecutor,
    "asyncio": CoroutineExecutor,
}


class Tasks(dict[str, TaskDefinition]):
    """A registry."""

    def find(self, name: str) -> TaskDefinition | None:
        return self.get(name)

    def add(self, run: Callable[..., Any], name: str | None = None, **options: Any) -> TaskDefinition:
        name = name or run.__name__
        options.setdefault("is_async", inspect.iscoroutinefunction(run))
        self[name] = TaskDefinition(name=name, run=run, **options)
        return self[name]


@dataclass
class Rig:
    tasks: Tasks = field(default_factory=Tasks)
    pool: str = "threads"
    slots: int = 1
    fused: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    drained: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    leaving: list[str] = field(default_factory=list)
    waiting: list[tuple[str, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server = MemoryServer(DriverOptions(), CLOCK)
        self.driver = MemoryDriver(Url("memory://rig"), DriverOptions(), CLOCK, self.server)
        self.broker, self.backend = self.driver.broker(), self.driver.backend()
        self.rules = Rules(codec=CODEC, following=Following(registry=self.tasks), worker="w@here")
        self.runner = Runner(codec=CODEC, clock=CLOCK, hostname="w@here")
        self.executor = EXECUTORS[self.pool](self.runner.run, self.runner.run_async, self.slots)

    def worker(self, hooks: WorkerHooks | None = None, **parts: Any) -> Worker:
        hooks = hooks or WorkerHooks(
            on_ready=self.sessions.append,
            on_drained=self.drained.append,
            on_leaving=self.leaving.append,
            on_waiting=self.waiting.append,
        )
        options = {"queues": ("default",), "pool": self.pool, "slots": self.slots, **self.options}
        given = {
            "broker": self.broker,
            "leases": self.driver.leases(),
            "chores": self.driver.chores(),
            "backend": self.backend,
            "commit": self.driver.commit() if self.fused else None,
            "executor": self.executor,
            "codec": CODEC,
            "registry": self.tasks,
            "rules": self.rules,
            "clock": CLOCK,
            "session": SESSION,
            "node": NODE,
            **parts,
        }
        return Worker(WorkerParts(**given), WorkerOptions(node=NODE, **options), hooks)

    async def send(self, task: str, *args: Any, **fields: Any) -> str:
        id = TaskId(fields.pop("id", None) or CLOCK.new_id())
        message = Message(id=id, task=task, args=args, **fields)
        await self.broker.publish((CODEC.post(message),))
        return id

    async def result(self, id: str, timeout: float = 10.0) -> ResultMeta:
        async with asyncio.timeout(timeout):
            while True:
                (record,) = await self.backend.wait([id], 1.0)
                if record is not None and record.terminal:
                    return read_meta(record, CODEC)

    async def counts(self) -> Any:
        return (await self.driver.admin().counts(("default",)))[0]

    async def until(self, fact: Callable[[], Any]) -> Any:
        """Wait for something no port announces: the store's counts, a hook's call."""
        async with asyncio.timeout(10):
            while not (found := await value if asyncio.iscoroutine(value := fact()) else value):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return found

    async def claimed(self, ready: int, claimed: int) -> None:
        async def reached() -> bool:
            counts = await self.counts()
            return (counts.ready, counts.claimed) == (ready, claimed)

        await self.until(reached)

    def run(self, scenario: Callable[[Worker], Any], **parts: Any) -> Any:
        """Run a worker and a scenario beside it; the worker is stopped in order when the scenario ends."""
        outcome: list[Any] = []

        async def main() -> None:
            worker = self.worker(**parts)
            running = asyncio.ensure_future(worker.run())
            try:
                async with asyncio.timeout(30):
                    outcome.append(await scenario(worker))
            finally:
                worker.quiet()
                await asyncio.wait_for(running, 10)

        if self.pool != "prefork":
            asyncio.run(main())
        else:
            # As in a worker process: the loop beside, the slot on the main thread.
            errors: list[BaseException] = []

            def beside() -> None:
                try:
                    asyncio.run(main())
                except BaseException as error:
                    errors.append(error)
                    self.executor.close()

            thread = threading.Thread(target=beside)
            thread.start()
            self.executor.serve()
            thread.join()
            if errors:
                raise errors[0]
        self.executor.dispose()
        return outcome[0]
