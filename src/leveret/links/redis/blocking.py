"""The blocking pump: the calling thread writes and reads by itself; no thread, no lock, no loop of ours.

Law: a connection is used by one thread at a time, who takes it out of the pool; so threads, greenlets, signal handlers
and exceptions in mid-air meet no state of one another. What did not end well is closed, never given back.
"""

import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from hiredis import ProtocolError

from leveret.links.redis.conversation import Command, Conversation, Message
from leveret.links.redis.dial import broken, route, unreachable
from leveret.links.redis.location import Location
from leveret.links.redis.refusals import BROKEN_BY, Lost, Refusal, explain
from leveret.links.redis.scripts import Verb
from leveret.links.redis.sockets import open_socket

T = TypeVar("T")

MOST_IDLE = 16
"""Connections kept for later; as many are open as threads talk or wait at once."""
CHUNK = 64 * 1024
LEAST_SECONDS = 0.001
"""A deadline that has just passed is tried all the same: zero would mean not to wait at all."""


class Connection:
    """One socket, the conversation on it, and what was heard between answers."""

    def __init__(self, location: Location, raw: socket.socket) -> None:
        self._location = location
        self._socket = raw
        self._conversation = Conversation()
        self._seconds = -1.0
        """The socket's timeout: to set it anew for each command is dear under gevent."""
        self.used_at = 0.0
        """When it was given back; of the monotonic clock."""
        self.pid = os.getpid()
        self.messages: list[Message] = []
        self.subscribed: set[bytes] = set()

    def ask(self, commands: Iterable[Command], seconds: float | None = None) -> list[Any]:
        """Send commands and wait for their answers, those of earlier ones passed over."""
        late = self._conversation.owed
        answers: list[Any] = []
        try:
            self._limit(self._location.answer_seconds if seconds is None else seconds)
            if isinstance(commands, list):
                data = self._conversation.pack(commands)
                # Mostly all of it at once: `sendall` is three calls of Python more under gevent.
                sent = self._socket.send(data)
                if sent < len(data):
                    self._socket.sendall(data[sent:])
            else:
                for command in commands:
                    self._socket.sendall(self._conversation.pack((command,)))
            while self._conversation.owed:
                answers += self._receive()
        except (OSError, ProtocolError) as error:
            raise broken(self._location, error) from error
        return answers[late:]

    def ask_one(self, command: Command, end: float) -> Any:
        """Send one command and wait for its answer until that moment of the monotonic clock."""
        left = max(min(end - time.monotonic(), self._location.answer_seconds), LEAST_SECONDS)
        return self.ask([command], left)[0]

    def carry_out(self, verb: Verb[T], end: float | None = None) -> T:
        """Carry out a verb, if told so until that moment of the monotonic clock."""
        most = self._location.answer_seconds
        try:
            commands = next(verb)
            while True:
                left = None if end is None else max(min(end - time.monotonic(), most), LEAST_SECONDS)
                commands = verb.send(self.ask(commands, left))
        except StopIteration as stop:
            done: T = stop.value
            return done

    def tell(self, commands: Sequence[Command]) -> None:
        """Send commands whose answers nobody waits for."""
        try:
            self._limit(self._location.answer_seconds)
            self._socket.sendall(self._conversation.pack(commands))
        except OSError as error:
            raise broken(self._location, error) from error

    def listen(self, seconds: float) -> list[Message]:
        """Answer the messages that come within so many seconds, as soon as there are any."""
        end = time.monotonic() + seconds
        try:
            while not self.messages and (left := end - time.monotonic()) > 0:
                self._limit(left)
                try:
                    self._receive()
                except TimeoutError:
                    break
        except (OSError, ProtocolError) as error:
            raise broken(self._location, error) from error
        heard, self.messages = self.messages, []
        return heard

    def fit(self) -> bool:
        """Whether the connection can be used again; takes what came meanwhile."""
        try:
            self._limit(0.0)
            while True:
                self._receive()
        except OSError as error:  # nothing to read is what is hoped for; TLS has its own way to say so
            return isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError"
        except ProtocolError:
            return False
        finally:
            self.messages.clear()

    def close(self) -> None:
        self._socket.close()

    def _limit(self, seconds: float) -> None:
        if seconds != self._seconds:
            self._socket.settimeout(seconds)
            self._seconds = seconds

    def _receive(self) -> list[Any]:
        data = self._socket.recv(CHUNK)
        if not data:
            raise ConnectionResetError("closed by the server")
        answers, messages = self._conversation.receive(data)
        if messages:
            self.messages += messages
        return answers


class Pool:
    """The connections of one process to one server; opened when used."""

    def __init__(self, location: Location) -> None:
        self.location = location
        self._idle: deque[Connection] = deque()
        self._pid = os.getpid()

    def perform(self, verb: Verb[T]) -> T:
        """Carry out a verb on a connection."""
        with self.borrowed() as connection:
            return connection.carry_out(verb)

    @contextmanager
    def borrowed(self, seconds: float | None = None, *, trusted: float = 0.0) -> Iterator[Connection]:
        """A connection for the calling thread alone; at most so many seconds are spent on making one. `Refusal`s are
        explained on the way out. `trusted`: one that was used so many seconds ago is not looked at first; for callers
        who try again when it breaks."""
        connection = self._take(seconds, trusted)
        try:
            yield connection
        except Refusal as refusal:
            # The conversation is whole: after a refusal the connection is as good as before, mostly.
            if refusal.code in BROKEN_BY:
                # The others lead to the same server.
                connection.close()
                self.close()
            else:
                self._give(connection)
            raise explain(refusal, self.location.shown) from refusal
        except BaseException:
            connection.close()
            raise
        self._give(connection)

    def close(self) -> None:
        if self._pid == os.getpid():
            while self._idle:
                self._idle.pop().close()

    def _take(self, seconds: float | None, trusted: float) -> Connection:
        if self._pid != os.getpid():
            # A fork's: closing them here closes no more than this process's copies.
            self._idle, inherited, self._pid = deque(), self._idle, os.getpid()
            for connection in inherited:
                connection.close()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return dial(self.location, seconds)
            if (trusted and time.monotonic() - connection.used_at < trusted) or connection.fit():
                return connection
            connection.close()

    def _give(self, connection: Connection) -> None:
        if len(self._idle) < MOST_IDLE and connection.pid == os.getpid():
            connection.used_at = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()


def dial(location: Location, seconds: float | None = None) -> Connection:
    """Connect and greet; raises `OperationalError` within the location's seconds, or those given if they are fewer, for
    each server tried."""
    if seconds is not None:
        location = replace(location, connect_seconds=max(min(location.connect_seconds, seconds), LEAST_SECONDS))
    path = route(location)
    call = next(path)
    while True:
        connection: Connection | None = None
        try:
            connection = Connection(location, open_socket(location, call.endpoint))
            answers = connection.ask(call.greeting, location.connect_seconds)
        except (OSError, Lost) as error:
            if connection is not None:
                connection.close()
            call = path.throw(unreachable(location, call.endpoint, error))
            continue
        try:
            following = path.send(answers)
        except StopIteration:
            return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        call = following
