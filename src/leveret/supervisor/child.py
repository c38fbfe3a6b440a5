"""One worker process as its supervisor sees it: a state, a line, a page, and how long its heart has stood still."""

import asyncio
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, assert_never

from msgspec import Struct

from leveret.model.control import (
    Appointed,
    Broken,
    Drained,
    FromChild,
    Leaving,
    Noted,
    Quiet,
    Ready,
    ReturnUnstarted,
    SendEvents,
    Steer,
    StopNow,
    Tally,
    Testify,
    ToChild,
    Told,
    Waiting,
)
from leveret.model.delivery import Receipt, SessionId
from leveret.model.node import Session
from leveret.model.options import WorkerOptions
from leveret.model.remote.steering import Steering
from leveret.supervisor.channel import ChannelClosed
from leveret.supervisor.nursery import Launched
from leveret.supervisor.options import END_OF_A_WAIT, SupervisorHooks
from leveret.supervisor.remote.questions import Questions
from leveret.supervisor.slots import PageView, SlotReader
from leveret.supervisor.statuses import kill


class State(Enum):
    STARTING = "starting"
    READY = "ready"
    QUIETING = "quieting"
    DEAD = "dead"


class Event(Enum):
    READY = "ready"
    QUIET = "quiet"
    DRAINED = "drained"
    BROKEN = "broken"
    EXIT = "exit"


_S, _E = State, Event
MOVES: Final[dict[State, dict[Event, State]]] = {
    # Quiet may cross Ready on the line: a child told to be quiet never counts as ready again.
    _S.STARTING: {
        _E.READY: _S.READY,
        _E.QUIET: _S.QUIETING,
        _E.DRAINED: _S.QUIETING,
        _E.BROKEN: _S.QUIETING,
        _E.EXIT: _S.DEAD,
    },
    # Ready again: the child took a new session after its old one had been reaped.
    _S.READY: {
        _E.READY: _S.READY,
        _E.QUIET: _S.QUIETING,
        _E.DRAINED: _S.QUIETING,
        _E.BROKEN: _S.QUIETING,
        _E.EXIT: _S.DEAD,
    },
    _S.QUIETING: {
        _E.READY: _S.QUIETING,
        _E.QUIET: _S.QUIETING,
        _E.DRAINED: _S.QUIETING,
        _E.BROKEN: _S.QUIETING,
        _E.EXIT: _S.DEAD,
    },
    _S.DEAD: {},
}


_STARTING_PATIENCE: Final = 2.0


class Child:
    """Fields are touched by the supervisor's loop only."""

    def __init__(self, options: WorkerOptions, launched: Launched, page: SlotReader, born: float) -> None:
        self.options = options
        self.pid = launched.pid
        self.launched = launched
        self.page = page
        self.born = born
        self.state = State.STARTING
        self.session: SessionId | None = None
        self.ready_at: float | None = None
        self.drained: Drained | None = None
        self.broken: Broken | None = None
        self.waiting: tuple[str, ...] = ()
        self.leaving = ""
        """Why it claims nothing more although nobody asked it to end."""
        self.tally = Tally(0, 0)
        self.killed_for = ""
        self.forgiven = False
        self.overdue: frozenset[Receipt] = frozenset()
        self.spoke = asyncio.Event()
        """Set whenever something was heard, and at the end."""
        self._notes: dict[int, asyncio.Future[None]] = {}
        """Testimonies it has not confirmed yet."""
        self.vigil = Vigil()
        self.questions = Questions(self._say)
        self.commands: tuple[tuple[str, str], ...] = ()
        """What its app adds to remote control."""

    def hear(self, message: FromChild, now: float) -> None:
        match message:
            case Ready(session=session, commands=commands):
                self.session, self.commands = SessionId(session), commands
                self.ready_at = now if self.ready_at is None else self.ready_at
                self._move(Event.READY)
            case Drained():
                self.drained = message
                self._move(Event.DRAINED)
            case Broken():
                self.broken = message
                self._move(Event.BROKEN)
            case Waiting(running):
                self.waiting = running
            case Leaving(reason):
                self.leaving = reason
            case Noted(number):
                self._note(number)
            case Told():
                self.questions.heard(message)
            case Tally():
                # Heard every second: nobody waits for it.
                self.tally = message
                return
            case _:
                assert_never(message)
        self.spoke.set()

    def quiet(self, grace: float | None, reason: str) -> None:
        """Ask it to finish what runs, to give the rest back and to end."""
        self._move(Event.QUIET)
        self._say(Quiet(grace=grace, reason=reason))

    def stop_now(self) -> None:
        """Ask it to give everything back and to end at once."""
        self._move(Event.QUIET)
        self.forgiven = True
        self._say(StopNow())

    def send_events(self, on: bool) -> None:
        self._say(SendEvents(on))

    def appoint(self, *, ready: bool) -> None:
        """It is the one that sends the node's own signals."""
        self._say(Appointed(ready))

    def return_unstarted(self) -> None:
        self._say(ReturnUnstarted())

    def steer(self, steering: Steering) -> None:
        self._say(Steer(steering))

    def kill(self, reason: str, *, forgive: bool = False, overdue: frozenset[Receipt] = frozenset()) -> None:
        """End it from outside. `forgive`: what it ran is not to blame."""
        self.killed_for = reason
        self.forgiven = self.forgiven or forgive
        self.overdue = overdue
        kill(self.pid)

    async def testify(self, testimony: Testify) -> None:
        """Tell it what is known of others' deaths; returns when it has heard, or can hear nothing any more."""
        if self.state is State.DEAD:
            return
        note = self._notes[testimony.number] = asyncio.get_running_loop().create_future()
        self._say(testimony)
        await note

    def _note(self, number: int) -> None:
        note = self._notes.pop(number, None)
        if note is not None and not note.done():
            note.set_result(None)

    def died(self) -> None:
        for number in tuple(self._notes):
            self._note(number)
        self.questions.end()
        self._move(Event.EXIT)
        self.spoke.set()

    def as_session(self) -> Session | None:
        if self.session is None:
            return None
        node = self.options.node
        return Session(
            id=self.session,
            node=node.name,
            incarnation=node.incarnation,
            pid=self.pid,
            quarantine=self.options.quarantine,
        )

    def runs(self) -> tuple[str, ...]:
        """What it still works on: its own words, else its page's."""
        return self.waiting or tuple(running.id for running in self.page.view().running)

    def _move(self, event: Event) -> None:
        self.state = MOVES[self.state][event]

    def _say(self, message: ToChild) -> None:
        try:
            self.launched.channel.send(message)
        except ChannelClosed:
            # It is dying, which is seen elsewhere, or it is stopped, which the vigil sees.
            return


async def tell_all(children: Iterable[Child], testimony: Testify, patience: float) -> None:
    """Every process must know of a death before the broker hands the message to one of them; who does not answer within
    `patience` seconds is not waited for."""
    heard = [asyncio.ensure_future(child.testify(testimony)) for child in children]
    if heard:
        _, deaf = await asyncio.wait(heard, timeout=patience)
        for task in deaf:
            task.cancel()


async def end_those_still_starting(children: Callable[[], Iterable[Child]]) -> None:
    """A child that is still importing when its node stops holds nothing: end it after a while."""
    await asyncio.sleep(_STARTING_PATIENCE)
    for child in children():
        if child.ready_at is None:
            child.kill("stopped while starting", forgive=True)


async def stop_now(children: Callable[[], Iterable[Child]], *, after: float, answer: float) -> None:
    """Have everything given back, then end whoever has not obeyed within `answer` seconds."""
    await asyncio.sleep(after)
    for child in children():
        child.stop_now()
    await asyncio.sleep(answer)
    for child in children():
        child.kill("stopped", forgive=True)


async def say_what_is_waited_for(children: Callable[[], Iterable[Child]], hooks: SupervisorHooks, every: float) -> None:
    """A warm stop that takes long says why, and how to end it."""
    while True:
        await asyncio.sleep(every)
        waiting = tuple(name for child in children() for name in child.runs())
        hooks.on_waiting(waiting)
        hooks.log("warning", "still waiting for running tasks", tasks=", ".join(waiting), end=END_OF_A_WAIT)


class Patience(Struct, frozen=True, kw_only=True):
    """How long a child may be silent; seconds."""

    stall: float = 10.0
    unsettled: float = 30.0
    answer: float = 1.0


class Finding(Enum):
    FINE = "fine"
    HOLD = "hold"
    """Silent, but a task runs: leave it the task, take back the rest."""
    STUCK = "stuck"
    OVERDUE = "overdue"
    RECOVERED = "recovered"
    """It was held and its heart beats again."""


class Vigil:
    """Watches one heart. Time is counted in looks, at most `_LONGEST_LOOK` each: a supervisor that was itself stopped
    (a suspended machine, Ctrl-Z) must not think that its children had been."""

    _LONGEST_LOOK: Final = 2.0
    _MISSED_BEATS: Final = 2.5

    def __init__(self) -> None:
        self._beats = 0
        self._seen: float | None = None
        self.stalled = 0.0

    def look(self, page: PageView, patience: Patience, *, monotonic: float, now: float) -> Finding:
        """Call about once a second, from the moment the process is ready."""
        elapsed = 0.0 if self._seen is None else min(monotonic - self._seen, self._LONGEST_LOOK)
        self._seen = monotonic
        if page.beats != self._beats:
            self._beats, self.stalled = page.beats, 0.0
            return Finding.RECOVERED if page.hold else Finding.FINE
        self.stalled += elapsed
        if self.stalled > self._MISSED_BEATS and overdue(page, now - patience.answer):
            return Finding.OVERDUE
        if self.stalled < patience.stall:
            return Finding.FINE
        unsettled = page.unsettled_since and now - page.unsettled_since >= patience.unsettled
        if unsettled or not (page.running or page.torn):
            return Finding.STUCK
        return Finding.FINE if page.hold else Finding.HOLD


def overdue(page: PageView, moment: float) -> frozenset[Receipt]:
    """What had passed its time limit by then."""
    return frozenset(
        running.receipt for running in page.running if running.deadline is not None and running.deadline <= moment
    )
