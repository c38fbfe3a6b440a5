"""A TCP proxy between a client and a server that breaks the connection where a test wants it broken."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from tests.servers.host.ports import HOST, Port, claim_port
from tests.servers.wire.link import Budget, Ends, Link, Terms, reset
from tests.servers.wire.recorder import Recorder
from tests.servers.wire.rules import Action, Direction, Rule


class Proxy:
    """Runs on a thread and loop of its own; every method may be called from any other thread.

    `amqp`: what goes by is AMQP in plain text, so rules can name frames; a recorder sees them all. `resp`: it is Redis's
    protocol instead, and rules name commands and scripts (`wire/resp.py`).
    """

    def __init__(self, target: int, *, amqp: bool = True, resp: bool = False, recorder: Recorder | None = None) -> None:
        self.recorder = recorder
        self._target = target
        self._amqp, self._resp = amqp and not resp, resp
        self._port: Port | None = None
        # What follows belongs to the loop; `_opened` and the sums are read elsewhere.
        self._clients: set[asyncio.Task[Any]] = set()
        self._links: dict[Link, asyncio.Task[Any]] = {}
        self._door: socket.socket | None = None
        self._opened = 0
        # Guards nothing: it wakes those who wait for another connection.
        self._changed = threading.Condition()

    @property
    def port(self) -> int:
        assert self._port is not None, "not started"
        return self._port.number

    @property
    def opened(self) -> int:
        """Count connections since the start."""
        return self._opened

    @property
    def open(self) -> int:
        """Count connections of this moment."""
        return len(self._links)

    def sent(self, direction: Direction) -> int:
        """Count bytes passed on."""
        return self._terms.sent[direction]

    def start(self) -> Self:
        self._port = claim_port()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._start())
        return self

    def stop(self) -> None:
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        assert self._port is not None
        self._port.release()

    def on(self, direction: Direction, method: str, action: Action, nth: int = 1) -> Rule:
        """Act on the n-th frame of a method, such as `basic.ack` (RESP: `commit`), counted from now over all connections."""
        rule = Rule(direction, method, action, nth)
        self._call(self._append(self._terms.rules, rule))
        return rule

    def cut_after(self, direction: Direction, size: int) -> Budget:
        """Pass on so many more bytes, of all connections together, then cut the one whose byte was the last."""
        budget = Budget(direction, size)
        self._call(self._append(self._terms.budgets, budget))
        return budget

    def cut(self) -> int:
        """Reset all connections; answers how many."""
        return self._call(self._cut())

    def blackhole(self, on: bool = True) -> None:
        """Pass nothing on and close nothing, as when a network is split; off: what waited goes on."""
        self._call(self._blackhole(on))

    def refuse(self, on: bool = True) -> None:
        """Refuse new connections, as when no server is there."""
        self._call(self._refuse(on))

    def delay(self, seconds: float) -> None:
        """Deliver everything so much later, each way."""
        self._terms.latency_seconds = seconds

    def wait_opened(self, count: int, timeout: float = 10.0) -> None:
        """Wait until there have been so many connections."""
        self._until(lambda: self._opened >= count, f"{count} connections", timeout)

    def wait_closed(self, timeout: float = 10.0) -> None:
        """Wait until no connection is open."""
        self._until(lambda: not self._links, "no connection", timeout)

    def _until(self, true: Callable[[], bool], what: str, timeout: float) -> None:
        with self._changed:
            came = self._changed.wait_for(true, timeout)
        assert came, f"not within {timeout} s: {what}; {self._opened} so far, {len(self._links)} open"

    def _call(self, step: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(30)

    async def _start(self) -> None:
        self._terms = Terms(asyncio.Event(), self.recorder, amqp=self._amqp, resp=self._resp)
        self._terms.flowing.set()
        await self._refuse(False)

    async def _stop(self) -> None:
        await self._refuse(True)
        # A client just accepted is taken up first, so that it can be reset like the others.
        await asyncio.sleep(0)
        await self._cut()
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        # Each aborted transport closes its socket in the loop's next round.
        await asyncio.sleep(0)

    async def _append(self, to: list[Any], what: object) -> None:
        to.append(what)

    async def _cut(self) -> int:
        links = dict(self._links)
        for link, task in links.items():
            link.cut()
            task.cancel()
        await asyncio.gather(*links.values(), return_exceptions=True)
        return len(links)

    async def _blackhole(self, on: bool) -> None:
        (self._terms.flowing.clear if on else self._terms.flowing.set)()

    async def _refuse(self, on: bool) -> None:
        if on and self._door:
            self._loop.remove_reader(self._door)
            self._door.close()
            self._door = None
        if not on and not self._door:
            self._door = socket.create_server((HOST, self.port), backlog=128)
            self._door.setblocking(False)
            # Not sock_accept: what that has accepted when it is cancelled stays open and is nobody's.
            self._loop.add_reader(self._door, self._welcome, self._door)

    def _welcome(self, door: socket.socket) -> None:
        try:
            client, _ = door.accept()
        except OSError:
            return
        client.setblocking(False)
        task = self._loop.create_task(self._serve(client))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, plain: socket.socket) -> None:
        client = await asyncio.open_connection(sock=plain)
        try:
            await self._terms.flowing.wait()
            await self._join(client, await asyncio.open_connection(HOST, self._target))
        except (OSError, asyncio.CancelledError):
            # No server, or no proxy any more.
            reset(client[1])

    async def _join(self, client: Ends, server: Ends) -> None:
        link, task = Link(self._opened, client, server, self._terms), asyncio.current_task()
        assert task is not None
        self._links[link] = task
        self._opened += 1
        self._wake()
        try:
            await link.run()
        finally:
            del self._links[link]
            self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
