"""A tiny worker of our own: claims from the real SQLite driver and obeys its supervisor, without the worker package.

Tasks are named after what they do; what ran where is one line each in the history file.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from leveret.brokers.sql.driver import SqlDriver
from leveret.model.control import Drained, Leaving, Quiet, Ready, ReturnUnstarted, StopNow, ToChild, Waiting
from leveret.model.delivery import Claim, Delivery, Return, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import Message, TaskId
from leveret.model.node import Session
from leveret.model.options import DriverOptions, WorkerOptions
from leveret.model.settlement import Commitment
from leveret.model.task import TaskDefinition
from leveret.ports.executor import Job
from leveret.supervisor.channel import Channel
from leveret.supervisor.slots import SlotWriter
from leveret.wiring.clock import SystemClock

KEPT: list[object] = []


def preload(options: WorkerOptions) -> str:
    """Misbehave as the environment asks, then be the app."""
    match os.environ.get("TEST_IMPORT", ""):
        case "error":
            raise ImportError("no module named 'nowhere'")
        case "exit":
            sys.exit("the app left")
        case "thread":
            threading.Thread(target=time.sleep, args=(60,), daemon=True, name="from-import").start()
        case "socket":
            KEPT.extend(socket.socketpair())
        case "crash":
            os._exit(3)
    note("import", str(os.getpid()))
    return options.app


def run(app: str, options: WorkerOptions, channel: Channel[ToChild]) -> int:
    match os.environ.get("TEST_RUN", ""):
        case "exit":
            return 7
        case "raise":
            raise RuntimeError("cannot run")
    return asyncio.run(Work(options, channel).run())


def note(what: str, *rest: str) -> None:
    line = " ".join([what, *rest, f"{time.time():.4f}"]) + "\n"
    with Path(os.environ["TEST_HISTORY"]).open("a") as file:
        file.write(line)


class Work:
    def __init__(self, options: WorkerOptions, channel: Channel[ToChild]) -> None:
        self.options, self.channel = options, channel
        self.clock = SystemClock()
        self.driver = SqlDriver(Url(os.environ["TEST_URL"]), DriverOptions(), self.clock)
        self.broker = self.driver.broker()
        self.page = SlotWriter(options.page)
        self.session = SessionId(self.clock.new_id())
        self.quiet = asyncio.Event()
        self.now = False
        self.buffer: list[Delivery] = []
        self.running: dict[int, str] = {}

    async def run(self) -> int:
        node = self.options.node
        session = Session(
            id=self.session,
            node=node.name,
            incarnation=node.incarnation,
            pid=os.getpid(),
            quarantine=self.options.quarantine,
        )
        await self.driver.leases().register(node, (session,))
        note("child", str(os.getpid()), "quarantine" if self.options.quarantine else "normal")
        self.channel.send(Ready(pid=os.getpid(), session=self.session))
        helpers = [asyncio.ensure_future(self.obey()), asyncio.ensure_future(self.beat())]
        await asyncio.gather(*(self.slot(number) for number in range(self.options.slots)))
        await self.give_back()
        for helper in helpers:
            helper.cancel()
        self.channel.send(Drained())
        return 0

    async def slot(self, number: int) -> None:
        credit = int(os.environ.get("TEST_CREDIT", "1"))
        while not self.quiet.is_set():
            if not self.buffer:
                claim = Claim(
                    session=self.session,
                    queues=self.options.queues,
                    credit=credit,
                    number=time.monotonic_ns(),
                    suspects=self.options.quarantine,
                )
                self.buffer += await self.broker.claim(claim)
            if not self.buffer or self.page.hold:
                await asyncio.sleep(0.02)
                continue
            await self.perform(number, self.buffer.pop(0))

    async def perform(self, number: int, delivery: Delivery) -> None:
        id, name = delivery.encoded.headers["id"], delivery.encoded.headers["task"]
        if len(delivery.charges) >= 3:
            note("parked", id, "+".join(charge.reason.replace(" ", "_") for charge in delivery.charges))
            await self.broker.settle((Commitment(receipt=delivery.receipt, verdict=Verdict.REJECT, reason="killer"),))
            return
        job = Job(
            receipt=delivery.receipt,
            message=Message(id=TaskId(id), task=name, time_limit=float(os.environ.get("TEST_LIMIT", "0")) or None),
            definition=TaskDefinition(name=name, run=print),
        )
        self.page.begin(number, job, time.time())
        self.running[number] = f"{name}[{id}]"
        note("start", id, str(os.getpid()), str(len(delivery.charges)), str(delivery.count))
        if name.startswith("leave"):
            self.channel.send(Leaving("a hard limit"))
        await asyncio.to_thread(TASKS[name.split(":")[0]], name)
        self.page.end(number)
        del self.running[number]
        note("done", id)
        if not self.now:
            await self.broker.settle((Commitment(receipt=delivery.receipt, verdict=Verdict.ACK),))

    async def beat(self) -> None:
        while True:
            self.page.beat(0.0)
            await asyncio.sleep(0.2)

    async def obey(self) -> None:
        while True:
            match await self.channel.read():
                case Quiet():
                    self.quiet.set()
                    await self.give_back()
                    self.channel.send(Waiting(tuple(self.running.values())))
                case ReturnUnstarted():
                    await self.give_back()
                case StopNow():
                    await self.driver.leases().leave(self.options.node)
                    os._exit(0)
                case None:
                    note("orphan", str(os.getpid()))
                    os._exit(0)

    async def give_back(self) -> None:
        returns, self.buffer = tuple(Return(receipt=delivery.receipt) for delivery in self.buffer), []
        await self.broker.give_back(returns)


def sleep(name: str) -> None:
    time.sleep(float(name.partition(":")[2]))


def fork_and_die(_: str) -> None:
    """A grandchild keeps every descriptor it was given; C code forks without telling Python."""
    libc = ctypes.PyDLL(None)  # keeps the interpreter's lock: nobody is left in the grandchild to give it back
    if libc.fork() == 0:
        libc.sleep(8)
        libc._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def python_fork(_: str) -> None:
    """A grandchild through os.fork must not keep the line open."""
    if os.fork() == 0:
        time.sleep(8)
        os._exit(0)


def terminate_subprocess(_: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    process.terminate()
    note("terminated", str(process.wait(10)))


TASKS: dict[str, Any] = {
    "sleep": sleep,
    "leave": sleep,
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda _: ctypes.string_at(0),
    "exit": lambda name: os._exit(int(name.partition(":")[2])),
    "fork_and_die": fork_and_die,
    "python_fork": python_fork,
    "terminate_subprocess": terminate_subprocess,
}
