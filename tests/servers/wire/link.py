"""One connection through a proxy: two one-way pipes, each of which may be slow, stopped or cut at any byte."""

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.servers.wire.frames import Frame, FrameSplitter, NotAmqp
from tests.servers.wire.recorder import Recorder
from tests.servers.wire.resp import Dialogue, RespFrame, Splitter
from tests.servers.wire.rules import Course, Direction, Rule, Step, Trigger

CHUNK = 65_536


class Budget(Trigger):
    """Bytes that may still go one way; the connection that used the last is cut."""

    def __init__(self, direction: Direction, size: int) -> None:
        super().__init__(f"{size} bytes {direction.value}")
        self.direction = direction
        self.left = size


@dataclass(slots=True)
class Terms:
    """What holds for all connections of a proxy; belongs to the proxy's loop."""

    flowing: asyncio.Event
    recorder: Recorder | None = None
    latency_seconds: float = 0.0
    amqp: bool = True
    resp: bool = False
    rules: list[Rule] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    sent: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))


class Cut(Exception):
    """This connection is to be reset now."""


class Ended(Exception):
    """This connection is to be closed in order now."""


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Seal:
    """Set by the direction that is about to send a connection's last bytes: no answer to them shall come back."""

    by: Direction | None = None


class Link:
    """Two connections, joined: with the client and with the server."""

    def __init__(self, number: int, client: Ends, server: Ends, terms: Terms) -> None:
        self.number = number
        self._writers = (client[1], server[1])
        self._terms = terms
        seal, dialogue = Seal(), Dialogue()
        self._pipes = [
            Pipe(number, Direction.TO_SERVER, (client[0], server[1]), terms, seal),
            Pipe(number, Direction.TO_CLIENT, (server[0], client[1]), terms, seal),
        ]
        if terms.resp:
            for pipe in self._pipes:
                pipe.splitter = Splitter(dialogue, commands=pipe.direction is Direction.TO_SERVER)

    async def run(self) -> None:
        """Pass everything on until both sides have ended, or one was cut."""
        tasks = [asyncio.create_task(step) for pipe in self._pipes for step in (pipe.take(), pipe.give())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        except Ended:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await self._end()
        except (Cut, OSError):
            self.cut()
        finally:
            for task in tasks:
                task.cancel()
            for writer in self._writers:
                writer.close()

    async def _end(self) -> None:
        """Say to both sides that it is the end, and let them say so too: closing earlier could become a reset."""
        tasks = [asyncio.create_task(pipe.end()) for pipe in self._pipes]
        await asyncio.wait(tasks, timeout=2)
        for task in tasks:
            task.cancel()

    def cut(self) -> None:
        """Reset both connections."""
        for writer in self._writers:
            reset(writer)


class Pipe:
    """One direction. `take` reads, `give` writes; what is between them waits for its time."""

    def __init__(self, number: int, direction: Direction, ends: Ends, terms: Terms, seal: Seal) -> None:
        self._number, self.direction, self._terms, self._seal = number, direction, terms, seal
        self._reader, self._writer = ends
        self._course = Course(direction)
        self.splitter: FrameSplitter | Splitter = FrameSplitter()
        self._waiting: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(maxsize=256)
        # 0: `drain` waits until the kernel has everything.
        self._writer.transport.set_write_buffer_limits(high=0)

    async def take(self) -> None:
        """Read to the end; None stands for a reset, as b"" does for the end."""
        loop = asyncio.get_running_loop()
        data: bytes | None = b" "
        while data:
            try:
                data = await self._reader.read(CHUNK)
            except OSError:
                data = None
            await self._waiting.put((loop.time() + self._terms.latency_seconds, data))

    async def give(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._waiting.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._terms.flowing.wait()
            if data is None:
                raise Cut
            if not data:
                return self._write_end()
            if self._terms.amqp or self._terms.resp:
                await self._give_frames(data)
            else:
                await self._send(data)

    async def end(self) -> None:
        """Write the end, and throw away what still comes."""
        self._write_end()
        with contextlib.suppress(OSError):
            while await self._reader.read(CHUNK):
                pass

    def _write_end(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.write_eof()

    async def _give_frames(self, data: bytes) -> None:
        for frame in self._split(data):
            if self._terms.recorder and isinstance(frame, Frame):
                self._terms.recorder.add(self._number, self.direction, frame)
            await self._do(self._course.judge(frame, self._terms.rules), frame)

    def _split(self, data: bytes) -> Iterator[Frame | RespFrame]:
        try:
            yield from self.splitter.feed(data)
        except NotAmqp as error:
            if self._terms.recorder:
                self._terms.recorder.complain(f"connection {self._number} {self.direction.value}: {error}")
            raise Cut from error

    async def _do(self, step: Step, frame: Frame | RespFrame) -> None:
        if step is Step.HOLD:
            self._terms.flowing.clear()
        await self._terms.flowing.wait()
        if step is Step.PASS_AND_CUT:
            self._seal.by = self.direction
        if step in (Step.PASS, Step.HOLD, Step.PASS_AND_CUT):
            await self._send(frame.raw)
        if step in (Step.CUT, Step.PASS_AND_CUT):
            await self._flush()
            raise Cut
        if step is Step.END:
            raise Ended

    async def _send(self, data: bytes) -> None:
        budget = next((b for b in self._terms.budgets if b.direction is self.direction and not b.fired), None)
        part = data[: budget.left] if budget else data
        if budget and len(part) == budget.left:
            self._seal.by = self.direction
        if self._seal.by not in (None, self.direction):
            await asyncio.Future()
        if part:
            self._writer.write(part)
            await self._writer.drain()
            self._terms.sent[self.direction] += len(part)
        if budget:
            budget.left -= len(part)
            if not budget.left:
                budget.fire()
                await self._flush()
                raise Cut

    async def _flush(self) -> None:
        """Wait until the other side's kernel has everything: a reset throws away what has not left yet."""
        for _ in range(1_000):
            if self._writer.is_closing() or not unsent(self._writer):
                return
            await asyncio.sleep(0.001)


def unsent(writer: asyncio.StreamWriter) -> int:
    """Count bytes that the other side's kernel has not acknowledged; where that cannot be asked, 0."""
    if sys.platform != "linux":
        return 0
    plain: socket.socket = writer.get_extra_info("socket")
    return struct.unpack("i", fcntl.ioctl(plain.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]


def reset(writer: asyncio.StreamWriter) -> None:
    """Close at once, with a TCP reset."""
    plain: socket.socket = writer.get_extra_info("socket")
    # Closing with a linger time of 0 sends a reset.
    with contextlib.suppress(OSError):
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
