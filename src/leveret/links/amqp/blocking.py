"""The blocking pump: one connection of a process, on its callers' own threads.

No thread and no loop of ours. A caller writes under `_writing`; of those who wait, one reads for all (`_reading`), and
the others sleep until it has heard something. It keeps no heartbeat: nobody would send it. Instead the socket is looked
at before it is used after a pause.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from pamqp import commands

from leveret.errors import OperationalError
from leveret.links.amqp.address import Address, Failover, tune_socket
from leveret.links.amqp.line import Line
from leveret.links.amqp.protocol.connection import Connection, marshal
from leveret.links.amqp.protocol.errors import ChannelClosed, ConnectionLost, ProtocolError
from leveret.links.amqp.protocol.events import (
    Answered,
    Blocked,
    ChannelLost,
    Closed,
    Confirmed,
    Delivered,
    Event,
    Got,
    Opened,
    Returned,
    Unblocked,
)

_LOOK = 0.05
"""How often one who waits behind a reader looks whether he may read himself."""
_IDLE_SECONDS = 1.0
_DEBT_SECONDS = 1.0
_SILENT_SECONDS = 4.0


class NotSent(OperationalError):
    """The deadline came before our turn to write."""


class Channels:
    """Numbers of channels, and who waits for an answer on each, in the order of asking. `BlockingConnection._heard`
    guards it."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[list[Any]]] = {}
        self._highest = 0
        self.free: list[int] = []

    def number(self) -> int:
        if self.free:
            return self.free.pop()
        self._highest += 1
        return self._highest

    def ask(self, channel: int) -> list[Any]:
        """Where the answer will stand: a method, a message or None, or an exception."""
        answer: list[Any] = []
        self._waiting.setdefault(channel, deque()).append(answer)
        return answer

    def withdraw(self, channel: int) -> None:
        """What was asked for last was not sent."""
        if waiting := self._waiting.get(channel):
            waiting.pop()

    def answer(self, channel: int, answer: Any) -> None:
        waiting = self._waiting.get(channel)
        if waiting:
            waiting.popleft().append(answer)

    def lose(self, channel: int, error: Exception) -> None:
        """The broker closed it."""
        self.free.append(channel)
        for answer in self._waiting.pop(channel, ()):
            answer.append(error)

    def end(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            for answer in waiting:
                answer.append(error)
        self._waiting.clear()


class BlockingConnection:
    """Made by `connect`. `on_message` and the others are called by whichever thread reads; `_state` is held then."""

    def __init__(self, address: Address, sock: socket.socket) -> None:
        self.address = address
        # No heartbeat: between two sends nobody is there to answer one.
        self._machine = Connection(msgspec.structs.replace(address.credentials, heartbeat=0))
        self._line = Line(sock)
        self._writing = threading.Lock()
        """Guards the sending side and the order of frames."""
        self._reading = threading.Lock()
        """Held by the one who reads for all."""
        self._heard = threading.Condition()
        """Guards what events change; notified after each batch of them."""
        self._channels = Channels()
        self._used = self._heard_at = time.monotonic()
        self.error: Exception | None = None
        self.blocked: str | None = None
        self.on_delivered: Callable[[Delivered], None] = lambda message: None
        self.on_confirmed: Callable[[Confirmed], None] = lambda confirm: None
        self.on_returned: Callable[[Returned], None] = lambda message: None
        self.on_lost: Callable[[Exception], None] = lambda error: None
        self.on_channel_lost: Callable[[int, Exception], None] = lambda channel, error: None
        self._owed: deque[bytes] = deque()
        """What the reading thread has to say; whoever writes next takes it along."""

    def begin(self, deadline: float) -> None:
        """Do the handshake."""
        self._machine.begin()
        self.owe(self._machine.data_to_send())
        self.flush()
        if not self.wait(lambda: self._machine.opened, deadline):
            raise self.error or TimeoutError(f"{self.address.shown} did not finish the handshake in time")

    @property
    def frame_max(self) -> int:
        return self._machine.frame_max

    # Sending

    def open_channel(self, deadline: float) -> int:
        with self._heard:
            number = self._channels.number()
        try:
            self.call(number, commands.Channel.Open(), deadline)
        except NotSent:
            self._channels.free.append(number)
            raise
        except OperationalError:
            # Should it be opened after all, nobody uses it: closed, its number is free again.
            self.owe(marshal(number, commands.Channel.Close(200, "", 0, 0)))
            raise
        return number

    def call(self, channel: int, method: Any, deadline: float) -> Any:
        """Send a synchronous method and wait for its answer. Raises `ChannelClosed`, or `OperationalError`."""
        began = time.monotonic()
        data = marshal(channel, method)
        with self._heard:
            answer = self._channels.ask(channel)
        try:
            self.send(data, deadline)
        except NotSent:
            with self._heard:
                self._channels.withdraw(channel)
            raise
        if not self.wait(lambda: bool(answer), deadline):
            self.give_up(began)
            why = f" (it takes no messages: {self.blocked})" if self.blocked else ""
            raise OperationalError(f"{self.address.shown} did not answer {method.name} in time{why}")
        if not answer:
            raise ConnectionLost(str(self.error)) from self.error
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    def send(self, data: bytes, deadline: float, first: Callable[[], None] = lambda: None) -> None:
        """Write frames. `first` is called when it is their turn. Raises `ConnectionLost`; what was written in part ends
        the connection."""
        with turn(self._writing, deadline, self.address.shown):
            self.check()
            first()
            self._write(self._debts() + data if self._owed else data, deadline)
        self.flush()

    def owe(self, data: bytes) -> None:
        """Frames to be sent after the present batch of events, or with the next write."""
        if data:
            self._owed.append(data)

    def flush(self) -> None:
        """Send what is owed, where that takes no time: who reads must not wait for who writes. They look again after
        their own frames."""
        while self._owed and self._line.writable() and self._writing.acquire(blocking=False):
            try:
                self._write(self._debts(), time.monotonic() + _DEBT_SECONDS)
            finally:
                self._writing.release()

    def _debts(self) -> bytes:
        return b"".join([self._owed.popleft() for _ in range(len(self._owed))])

    def _write(self, data: bytes, deadline: float) -> None:
        self.check()
        self._used = time.monotonic()
        try:
            self._line.write(data, deadline)
        except OSError as error:
            lost = ConnectionLost(f"the connection to {self.address.shown} was lost: {error}")
            self.fail(lost)
            raise lost from error

    def check(self) -> None:
        """Raises why it is gone."""
        if self.error is not None:
            raise ConnectionLost(str(self.error)) from self.error

    def alive(self) -> bool:
        """Whether it can be used; after a pause the socket is looked at first: it may have been closed meanwhile."""
        if self.error is not None:
            return False
        if time.monotonic() - self._used > _IDLE_SECONDS and self._reading.acquire(blocking=False):
            try:
                while self.error is None and self._line.readable(0.0):
                    self._read()
            finally:
                self._reading.release()
        return self.error is None

    # Waiting

    def wait(self, true: Callable[[], bool], deadline: float) -> bool:
        """Read, or let another thread read, until `true()`, the deadline or the end of the connection."""
        while not true():
            left = deadline - time.monotonic()
            if left <= 0 or self.error is not None:
                return true()
            if self._reading.acquire(blocking=False):
                try:
                    # It may have come while the lock changed hands.
                    while not true() and self.error is None and (left := deadline - time.monotonic()) > 0:
                        if self._line.readable(left):
                            self._read()
                finally:
                    self._reading.release()
                with self._heard:
                    # Somebody else must read now, if anybody still waits.
                    self._heard.notify_all()
            else:
                with self._heard:
                    if not true():
                        self._heard.wait(min(left, _LOOK))
        return True

    def _read(self) -> None:
        """One read and what it says; by the holder of `_reading`."""
        try:
            data = self._line.read()
            if data is None:
                return
            if not data:
                raise ConnectionResetError("closed by the broker")
            self._heard_at = time.monotonic()
            events = self._machine.receive(data)
            self.owe(self._machine.data_to_send())
        except (OSError, ProtocolError) as error:
            self.fail(ConnectionLost(f"the connection to {self.address.shown} was lost: {error}"))
            return
        with self._heard:
            for event in events:
                self._handle(event)
            self._heard.notify_all()
        # Answers that the protocol owes: tune-ok, close-ok.
        with suppress(ConnectionLost):
            self.flush()

    def _handle(self, event: Event) -> None:
        match event:
            case Confirmed():
                self.on_confirmed(event)
            case Delivered():
                self.on_delivered(event)
            case Returned():
                self.on_returned(event)
            case Got(channel=channel, message=message):
                self._channels.answer(channel, message)
            case Answered(channel=channel, frame=commands.Basic.Cancel()):
                # Its queue is gone: a channel without its consumer is as good as none.
                self.on_channel_lost(channel, ConnectionLost("the consumer was cancelled"))
            case Answered(channel=channel, frame=frame):
                if isinstance(frame, commands.Channel.CloseOk):
                    self._channels.free.append(channel)
                self._channels.answer(channel, frame)
            case ChannelLost(channel=channel, code=code, text=text):
                error = ChannelClosed(code, text)
                self.on_channel_lost(channel, error)
                self._channels.lose(channel, error)
            case Blocked(reason=reason):
                self.blocked = reason
            case Unblocked():
                self.blocked = None
            case Opened():
                return
            case Closed(code=code, text=text):
                self._end(ConnectionLost(f"{self.address.shown} closed the connection: {code} {text}", code))

    # The end

    def give_up(self, began: float) -> None:
        """Who has waited since `began` goes without an answer. Where nothing at all was heard for long, nobody is there
        any more; a shorter silence is no reason to end what others wait on."""
        if self.blocked is None and self._heard_at < began < time.monotonic() - _SILENT_SECONDS:
            self.fail(ConnectionLost(f"{self.address.shown} was silent for {time.monotonic() - began:.1f} s"))

    def lock(self) -> Any:
        """For what is shared with the reader's callbacks. Nothing may be sent while it is held."""
        return self._heard

    def fail(self, error: Exception) -> None:
        with self._heard:
            self._end(error)
            self._heard.notify_all()

    def _end(self, error: Exception) -> None:
        if self.error is not None:
            return
        self.error = error
        self._channels.end(error)
        self.on_lost(error)
        self._line.close()

    def close(self) -> None:
        """Say goodbye; nobody waits for the answer."""
        if self.error is None:
            with suppress(ConnectionLost):
                self._machine.close()
                self.owe(self._machine.data_to_send())
                self.flush()
        self.abort()

    def abort(self) -> None:
        self.fail(ConnectionLost("closed here"))

    def drop(self) -> None:
        """In a forked child: let go of a socket that is the parent's, without a word on it."""
        self.error = ConnectionLost("inherited over a fork")
        self._line.let_go()


def connect(failover: Failover, deadline: float) -> BlockingConnection:
    """Try each broker once, beginning with the one that answered last. Raises `OperationalError`."""
    problem: Exception | None = None
    for _ in failover.brokers:
        address = failover.present
        limit = min(address.connect_seconds, deadline - time.monotonic())
        if limit <= 0:
            break
        try:
            return _open(address, time.monotonic() + limit)
        except (OSError, ProtocolError, ConnectionLost, TimeoutError) as error:
            problem = error
            failover.next()
    why = str(problem or "no time was left") or type(problem).__name__
    raise OperationalError(f"cannot connect to {failover.shown}: {why}") from problem


def _open(address: Address, deadline: float) -> BlockingConnection:
    sock = socket.create_connection((address.host, address.port), timeout=max(deadline - time.monotonic(), 0.001))
    try:
        tune_socket(sock)
        if address.tls is not None:
            sock = address.tls.context().wrap_socket(sock, server_hostname=address.tls.server_name or address.host)
        connection = BlockingConnection(address, sock)
        connection.begin(deadline)
    except BaseException:
        sock.close()
        raise
    return connection


@contextmanager
def turn(lock: threading.Lock, deadline: float, where: str) -> Iterator[None]:
    """Hold a lock that others may hold for as long as their own deadlines; raises `NotSent` at ours."""
    if not lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
        raise NotSent(f"{where}: other threads were busy with the connection until the deadline")
    try:
        yield
    finally:
        lock.release()
