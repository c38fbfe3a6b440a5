"""How an idle worker process hears of work without asking for it.

It lies down in a set of its queue; whoever puts a message there takes one out and calls it, so that one message wakes
one process. A foreign producer calls nobody: so one process of each node also has Redis tell it when a list of its
changes (`CLIENT TRACKING`), which takes nothing away from anybody. Behind both the watcher looks every second, the
others every five.
"""

import asyncio
from collections.abc import Callable

from leveret.brokers.redis.claims import served
from leveret.links.redis.conversation import INVALIDATED
from leveret.links.redis.hub import Hub
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import Names
from leveret.links.redis.refusals import Refusal
from leveret.links.redis.scripts import Value, Verb, ask, good

WATCHER_LOOKS, OTHERS_LOOK = 1.0, 5.0
"""Seconds between two looks of an idle process."""
SAFETY_SECONDS = 0.001
"""What is due is claimed so much later: the server's clock and ours do not tick together."""
GONE, NOTHING, WORK = -1, 0, 1
"""What `rest.lua` answers."""


class Bell:
    """Of one worker process; `wait` is called by one task at a time."""

    def __init__(self, hubs: Hubs, names: Names) -> None:
        self._hubs, self._names = hubs, names
        self.node = ""
        """Whose processes share one watcher."""
        self._session, self._suspects = "", False
        self._queues: tuple[str, ...] = ()
        self._hub: Hub | None = None
        self._rung = asyncio.Event()
        self._next_look = 0.0
        self._due: float | None = None
        self._armed = self._tracks = False
        self._resting = False
        self.waiting = False
        """Whether somebody waits right now."""
        self._futile = False
        """Whether the last wait ended without a sign of work."""

    @property
    def resting(self) -> bool:
        """Whether the session may stand in the sets of those who wait."""
        return self._resting

    def belongs_to(self, session: str, *, suspects: bool) -> None:
        """Who claims here; a session that was reaped has a successor."""
        if (session, suspects) != (self._session, self._suspects):
            self._leave()
            self._session, self._suspects, self._resting, self._futile = session, suspects, False, False

    def rose(self) -> None:
        """The session has work: it does not stand in the sets any more."""
        self._resting = False

    def spares_a_claim(self) -> bool:
        """Whether the claim that follows a wait without a sign need not be made: the next wait looks."""
        futile, self._futile = self._futile, False
        return futile and not self._rung.is_set()

    async def wait(self, queues: tuple[str, ...], timeout: float) -> None:
        """Return when there may be work, or after `timeout` seconds."""
        hub, loop = await self._listening(), asyncio.get_running_loop()
        end = loop.time() + timeout
        if not self._resting or queues != self._queues or self._rung.is_set() or loop.time() >= self._look_at:
            self._rung.clear()
            self._queues, self._resting = queues, True
            if await hub.perform(self._rest(loop.time)) != NOTHING:
                return
        # No `wait_for`: it makes a task of each wait, two turns of the loop (docs/adr/0012).
        alarm = loop.call_at(min(end, self._look_at), _wake, self._rung, timer := Timer())
        self.waiting = True
        try:
            await self._rung.wait()
        finally:
            self.waiting = False
            alarm.cancel()
        if timer.rang:
            self._rung.clear()
        self._futile = timer.rang and (self._due is None or loop.time() < self._due)

    async def close(self) -> None:
        """Whoever called just now called somebody who goes: another is called in its place."""
        if self._resting and self._session:
            self._resting = False
            queues = served(self._queues, self._suspects)
            values: tuple[Value, ...] = (self._session, len(queues), *queues, *self._steps)
            await self._hubs.own().perform(ask("rise", self._names.prefix, *values))
        self._leave()

    @property
    def _look_at(self) -> float:
        return self._next_look if self._due is None else min(self._next_look, self._due)

    @property
    def _steps(self) -> tuple[str, ...]:
        return ("",) if self._suspects else self._names.suffixes

    @property
    def _channel(self) -> bytes:
        return self._names.key(f"leveret:bell:{self._session}").encode()

    async def _listening(self) -> Hub:
        """The hub, which calls us from now on; after a new connection everything is said again."""
        hub = self._hubs.own()
        await hub.ready()
        if self._hub is not hub:
            self._leave()
            self._hub, self._rung = hub, asyncio.Event()
            hub.listen(self._channel, self._call)
            hub.on_lost = self._lost
        return hub

    def _call(self, payload: bytes) -> None:
        self._rung.set()

    def _changed(self, key: bytes) -> None:
        self._armed = False
        self._rung.set()

    def _lost(self) -> None:
        """Nobody can call us any more: ask, which connects anew."""
        self._resting = self._armed = self._tracks = False
        self._rung.set()

    def _leave(self) -> None:
        if self._hub is not None and self._session:
            self._hub.ignore(self._channel)
            self._hub.on_lost = _nothing
        self._hub, self._armed, self._tracks = None, False, False

    def _rest(self, time: Callable[[], float]) -> Verb[int]:
        """Lie down to be called."""
        names = served(self._queues, self._suspects)
        node = "" if self._suspects else self.node
        values: tuple[Value, ...] = (self._session, node, len(names), *names, *self._steps)
        answer = yield from ask("rest", self._names.prefix, *values)
        if answer[0] != NOTHING:
            return int(answer[0])
        now, watches = time(), bool(answer[2])
        self._due = now + float(answer[1]) + SAFETY_SECONDS if answer[1] else None
        self._next_look = now + (WATCHER_LOOKS if watches else OTHERS_LOOK)
        if watches and not self._armed and self._hub is not None:
            return (yield from self._watch(self._hub))
        return NOTHING

    def _watch(self, hub: Hub) -> Verb[int]:
        """Have this connection told of the next change of the lists. A look of its own: Redis does not track what a
        script looks at."""
        if not self._tracks:
            answers = yield [("CLIENT", "TRACKING", "ON", "OPTIN")]
            if type(answers[0]) is Refusal:
                return NOTHING  # no such right: the look of every second finds what Celery's clients send
            hub.listen(INVALIDATED, self._changed)
            self._tracks = True
        lists = [self._names.key(name) for queue in self._queues for name in self._names.lists(queue)]
        self._armed = True
        answers = yield [("CLIENT", "CACHING", "YES"), ("EXISTS", *lists)]
        return WORK if good(answers[1]) else NOTHING


class Timer:
    """Whether it was the time that ended a wait."""

    __slots__ = ("rang",)

    def __init__(self) -> None:
        self.rang = False


def _wake(rung: asyncio.Event, timer: Timer) -> None:
    if not rung.is_set():
        timer.rang = True
        rung.set()


def _nothing() -> None:
    return
