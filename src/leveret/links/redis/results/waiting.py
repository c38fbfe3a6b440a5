"""Waiting on the calling thread: it subscribes, looks, and listens on a connection of its own."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leveret.links.redis.blocking import Connection, Pool
from leveret.links.redis.conversation import Command
from leveret.links.redis.refusals import Lost, Refusal
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import good
from leveret.logic.retry import reconnect_delay

Look = Callable[[Connection, list[Command]], list[Any]]
"""Sends commands, then looks; answers what came of each, the look last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a thread waits. `line`: where the connection comes from, asked anew after each that broke."""

    line: Callable[[], Pool]
    look: Look
    answer_seconds: float
    channels: Channels
    jitter: Callable[[], float]


def of_server(pool: Pool, watch: Watch, channels: Channels, jitter: Callable[[], float]) -> Manner:
    """On a lone server one connection listens and looks."""

    def look(connection: Connection, before: list[Command]) -> list[Any]:
        return connection.ask([*before, watch.look()])

    seconds = pool.location.answer_seconds
    return Manner(line=lambda: pool, look=look, answer_seconds=seconds, channels=channels, jitter=jitter)


def wait(manner: Manner, watch: Watch, timeout: float) -> None:
    """Return when the watch is over or the time is. A connection that breaks is made anew for as long as an answer
    may take; then, or when the time is over, the error is the caller's."""
    end = time.monotonic() + timeout
    failures, since, looks = 0, 0.0, -1
    while True:
        try:
            with manner.line().borrowed() as connection:
                _wait_on(connection, watch, end, manner)
            return
        except Lost:
            now = time.monotonic()
            if watch.looks != looks:
                failures, since, looks = 0, now, watch.looks
            failures += 1
            if now >= end or now - since >= manner.answer_seconds:
                raise
            watch.lost()
            time.sleep(min(reconnect_delay(failures, manner.jitter()), end - now))


def _wait_on(connection: Connection, watch: Watch, end: float, manner: Manner) -> None:
    listening = _begin(connection, watch, manner)
    while not watch.over and (left := end - time.monotonic()) > 0:
        messages = connection.listen(min(watch.pause(listening), left))
        # No message: time for the look behind the channel. Else the first that is not clear by itself asks for one.
        if not messages or any(watch.heard(*message) for message in messages):
            watch.saw(good(manner.look(connection, [])[0]))
    _leave(connection, watch)


def _begin(connection: Connection, watch: Watch, manner: Manner) -> bool:
    """Subscribe and look in one round trip; answers whether messages will come."""
    wanted, known = set(watch.channels), connection.subscribed
    commands: list[Command] = []
    if old := known - wanted:
        commands.append(("UNSUBSCRIBE", *old))
    listening = manner.channels.open
    if listening and (new := wanted - known):
        commands.append(("SUBSCRIBE", *new))
    answers = manner.look(connection, commands)
    connection.subscribed = wanted if listening else set()
    for answer in answers[:-1]:
        if isinstance(answer, Refusal):
            if answer.code != "NOPERM":
                raise answer
            manner.channels.close("subscribe")
            listening = False
            connection.subscribed = set()
    watch.saw(good(answers[-1]))
    return listening


def _leave(connection: Connection, watch: Watch) -> None:
    """Channels of what has ended stay silent, so they are left with the next command; the others now."""
    silent = set(watch.silent())
    if talking := connection.subscribed - silent:
        connection.tell([("UNSUBSCRIBE", *talking)])
    connection.subscribed &= silent
