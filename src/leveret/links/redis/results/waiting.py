"""Waiting on the calling thread: it subscribes, looks, and listens on a connection of its own."""

import time
from collections.abc import Callable

from leveret.links.redis.blocking import Connection, Pool
from leveret.links.redis.conversation import Command
from leveret.links.redis.refusals import Lost, Refusal
from leveret.links.redis.results.watch import Watch
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import good
from leveret.logic.retry import reconnect_delay


def wait(pool: Pool, watch: Watch, timeout: float, channels: Channels, jitter: Callable[[], float]) -> None:
    """Return when the watch is over or the time is. A connection that breaks is made anew for as long as an answer
    may take; then, or when the time is over, the error is the caller's."""
    end = time.monotonic() + timeout
    failures, since, looks = 0, 0.0, -1
    while True:
        try:
            with pool.borrowed() as connection:
                _wait_on(connection, watch, end, channels)
            return
        except Lost:
            now = time.monotonic()
            if watch.looks != looks:
                failures, since, looks = 0, now, watch.looks
            failures += 1
            if now >= end or now - since >= pool.location.answer_seconds:
                raise
            watch.lost()
            time.sleep(min(reconnect_delay(failures, jitter()), end - now))


def _wait_on(connection: Connection, watch: Watch, end: float, channels: Channels) -> None:
    listening = _begin(connection, watch, channels)
    while not watch.over and (left := end - time.monotonic()) > 0:
        messages = connection.listen(min(watch.pause(listening), left))
        # No message: time for the look behind the channel. Else the first that is not clear by itself asks for one.
        if not messages or any(watch.heard(*message) for message in messages):
            watch.saw(good(connection.ask([watch.look()])[0]))
    _leave(connection, watch)


def _begin(connection: Connection, watch: Watch, channels: Channels) -> bool:
    """Subscribe and look in one round trip; answers whether messages will come."""
    wanted, known = set(watch.channels), connection.subscribed
    commands: list[Command] = []
    if old := known - wanted:
        commands.append(("UNSUBSCRIBE", *old))
    listening = channels.open
    if listening and (new := wanted - known):
        commands.append(("SUBSCRIBE", *new))
    answers = connection.ask([*commands, watch.look()])
    connection.subscribed = wanted if listening else set()
    for answer in answers[:-1]:
        if isinstance(answer, Refusal):
            if answer.code != "NOPERM":
                raise answer
            channels.close("subscribe")
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
