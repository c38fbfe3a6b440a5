"""How a connection is made, without I/O: whom to call, what to say first, and what the answers mean."""

import os
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from leveret.errors import OperationalError
from leveret.links.redis.conversation import Command
from leveret.links.redis.location import Endpoint, Location, Login, Tcp
from leveret.links.redis.refusals import Lost, Refusal, explain


@dataclass(frozen=True, slots=True)
class Call:
    """Connect to `endpoint` and say `greeting`; the answers, or the OSError, go back into the route."""

    endpoint: Endpoint
    greeting: list[Command]


Route = Generator[Call, list[Any], None]
"""The connection of its last call is the one; those before it are to be closed. Raises when nobody is left."""


def route(location: Location) -> Route:
    if location.master_name is None:
        yield from _serving(location, location.endpoints[0])
        return
    failures: list[str] = []
    for sentinel in location.endpoints:
        try:
            answers = yield Call(sentinel, _asking(location, location.master_name))
            yield from _serving(location, _master(answers, location, sentinel))
        except OperationalError as error:
            failures.append(str(error))
        else:
            return
    raise Lost("; ".join(failures))


def _serving(location: Location, endpoint: Endpoint) -> Route:
    # PING: a server that still reads its data from disk greets as if it were ready.
    greeting = [_hello(location.login, location.client_name), *_select(location.database), ("PING",)]
    answers = yield Call(endpoint, greeting)
    for answer in answers:
        if isinstance(answer, Refusal):
            raise explain(answer, location.shown)
    role = answers[0].get(b"role") if isinstance(answers[0], dict) else None
    if location.master_name is not None and role not in (None, b"master"):
        raise Lost(f"{endpoint} is no master of {location.master_name} any more: {role!r}")


def _asking(location: Location, master: str) -> list[Command]:
    return [_hello(location.sentinel_login, location.client_name), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)]


def _master(answers: list[Any], location: Location, sentinel: Endpoint) -> Tcp:
    for answer in answers:
        if isinstance(answer, Refusal):
            raise explain(answer, f"{sentinel} (sentinel)")
    found = answers[-1]
    if not found:
        raise Lost(f"the sentinel {sentinel} knows no master named {location.master_name}")
    return Tcp(found[0].decode(), int(found[1]))


def _hello(login: Login, client_name: str) -> Command:
    words: list[str | int] = ["HELLO", 3]
    if login.password:
        words += ["AUTH", login.username or "default", login.password]
    if client_name:
        words += ["SETNAME", client_name]
    return tuple(words)


def _select(database: int) -> list[Command]:
    return [("SELECT", database)] if database else []


def unreachable(location: Location, endpoint: Endpoint, error: Exception) -> Lost:
    """What to say of a call that failed; `error` is the OSError, or what `broken` made of it."""
    where = location.shown if location.master_name is None else f"{location.shown} ({endpoint})"
    reason: BaseException = error.__cause__ or error if isinstance(error, Lost) else error
    said = f"no answer within {location.connect_seconds:g} s" if isinstance(reason, TimeoutError) else _plain(reason)
    failure = Lost(f"cannot reach Redis at {where}: {said}")
    failure.__cause__ = reason
    return failure


def broken(location: Location, error: Exception | None) -> Lost:
    """What to say of a connection that ended."""
    if isinstance(error, TimeoutError):
        return Lost(f"Redis at {location.shown} did not answer within {location.answer_seconds:g} s")
    reason = f": {_plain(error)}" if error is not None else ""
    return Lost(f"the connection to Redis at {location.shown} broke{reason}")


def _plain(error: BaseException) -> str:
    """The system's words for it: asyncio has its own for the same."""
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or repr(error)
