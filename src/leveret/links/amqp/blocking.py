"""The blocking pump: one connection of a process, on its callers' own threads.

No thread and no loop of ours. A caller writes under `_writing`; of those who wait, one reads for all (`_reading`), and
the others sleep until it has heard something. It keeps no heartbeat: nobody would send it. Instead the socket is looked
at before it is used after a pause.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from pamqp import commands

from leveret.errors import OperationalError
from leveret.links.amqp.address import Address, Failover, tune_socket
from leveret.links.amqp.channels import Channels
from leveret.links.amqp.confirms import silence
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
from leveret.links.amqp.reading import NotSent, Reading, acquire

_IDLE_SECONDS = 1.0
_DEBT_SECONDS = 1.0
_SILENT_SECONDS = 4.0


class BlockingConnection:
    """Made by `connect`. `on_message` and the others are called by whichever thread reads; `_state` is held then."""

    def __init__(self, address: Address, sock: socket.socket) -> None:
        self.address = address
        # No heartbeat: between two sends nobody is there to answer one.
        self._machine = Connection(msgspec.structs.replace(address.credentials, heartbeat=0))
        self._line = Line(sock)
        self._writing = threading.Lock()
        """Guards the sending side and the order of frames."""
        self._heard = threading.RLock()
        """Guards what events change."""
        self._reading = Reading(self._line, self._heard, self._hear, self._lose)
        self._channels = Channels()
        self._used = self._heard_at = time.monotonic()
        self.error: Exception | None = None
        self.blocked: str | None = None
        self.last_blocked: tuple[str, float] | None = None
        """Both as `AsyncConnection`'s."""
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
            raise OperationalError(f"{self.address.shown} did not answer {method.name} in time{silence(self, began)}")
        if not answer:
            raise ConnectionLost(str(self.error)) from self.error
        if isinstance(answer[0], Exception):
            raise answer[0]
        return answer[0]

    def send(self, data: bytes, deadline: float, first: Callable[[], bytes] = bytes) -> bytes:
        """Write frames. `first` is called when it is their turn; answers what it did. Raises `ConnectionLost`; what was
        written in part ends the connection."""
        if not self._writing.acquire(blocking=False):
            acquire(self._writing, deadline, self.address.shown)
        try:
            self.check()
            answer = first()
            self._write(self._debts() + data if self._owed else data, deadline)
        finally:
            self._writing.release()
        if self._owed:
            self.flush()
        return answer

    def exchange(self, data: bytes, deadline: float, first: Callable[[], bytes]) -> bool:
        """Send frames and wait for what comes back first; true where that is exactly what `first` answered, and nobody
        else reads: then it is no event. Whatever else comes is heard as usual. Raises as `send`."""

        def send() -> bytes | None:
            answer = self.send(data, deadline, first)
            return None if self._machine.expects_more else answer

        if not self._reading.first(send, deadline):
            return False
        self._heard_at = time.monotonic()
        return True

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
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._reading.look()
        return self.error is None

    # Waiting

    def wait(self, true: Callable[[], bool], deadline: float) -> bool:
        """Until `true()`, the deadline or the end of the connection."""
        return self._reading.wait(true, deadline)

    def _lose(self, error: Exception) -> None:
        self.fail(ConnectionLost(f"the connection to {self.address.shown} was lost: {error}"))

    def _hear(self, data: bytes) -> None:
        """What was read; by the holder of `_reading`."""
        if not data:
            self._lose(ConnectionResetError("closed by the broker"))
            return
        self._heard_at = time.monotonic()
        try:
            events = self._machine.receive(data)
        except ProtocolError as error:
            self._lose(error)
            return
        self.owe(self._machine.data_to_send())
        with self._heard:
            for event in events:
                self._handle(event)
            self._reading.sleepers.wake()
        if self._owed:
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
                self.last_blocked, self.blocked = (self.blocked or "", time.monotonic()), None
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
            self._reading.sleepers.wake_all()

    def _end(self, error: Exception) -> None:
        if self.error is not None:
            return
        self.error = error
        self._reading.over = True
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
        self._reading.over = True
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
