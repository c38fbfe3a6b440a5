"""Publishing for a caller's loop: on the loop while the disk is quick, else in a thread that waits for it."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from leveret.brokers.sql.blocking import Publisher
from leveret.model.delivery import Posting

QUICK_SECONDS = 0.0005
"""A disk that usually takes less is quick. Handing a commit over costs two threads 100-130 us of CPU under one GIL,
longer than such a disk takes: the loop stands still for less when it commits itself (docs/adr/0011)."""
SLOW_SECONDS = 0.001
"""A disk that usually takes more is so no longer: the thread has it, until it finds the disk quick again."""
_MOST_COUNTED = 0.004
"""One commit that took long makes no slow disk; two in a row do."""
_SHARE = 0.2
"""Of the latest commit in what is usual."""
MOST_ON_LOOP = 32
"""Messages the loop commits itself: 0.3 ms of CPU."""


class Sending:
    """Postings that somebody waits for. All but `postings` belongs to its loop."""

    __slots__ = ("done", "limit", "loop", "postings", "timer")

    def __init__(self, postings: tuple[Posting, ...], loop: asyncio.AbstractEventLoop, limit: float | None) -> None:
        self.postings, self.loop, self.limit = postings, loop, limit
        self.done: asyncio.Future[None] = loop.create_future()
        self.timer: asyncio.TimerHandle | None = None

    def finish(self, error: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Disk:
    """Publishes in order. What a loop sends in one turn shares a commit; so does what comes while the thread is at one.

    The thread is a daemon, and new after a fork: it holds nothing but the postings of somebody who waits.
    """

    def __init__(self, publisher: Publisher, timeout: float, monotonic: Callable[[], float]) -> None:
        self._publisher, self._timeout, self._monotonic = publisher, timeout, monotonic
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: list[Sending] = []
        """What the loop has sent in this turn."""
        self._away = 0
        """How many of the loop's sendings the thread has."""
        self._pid = 0
        self._sendings: SimpleQueue[Sending] = SimpleQueue()
        # Guards the start: loops of several threads may share this.
        self._starting = threading.Lock()
        self._usual = _MOST_COUNTED
        """Seconds of a commit, a moving average; written by the thread, and by the loop when it has none."""
        self._quick = False

    async def publish(self, postings: tuple[Posting, ...], timeout: float | None = None) -> None:
        """Return when all are durable; TimeoutError after `timeout` seconds. Cancelling the wait does not cancel the
        publish."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        sending = Sending(postings, loop, timeout)
        if loop is self._loop and (self._turn or (self._quick and not self._away)):
            # Not at once: others of this turn may send too, and one commit is enough for all.
            self._turn.append(sending)
            if len(self._turn) == 1:
                loop.call_soon(self._commit)
        else:
            self._hand_over(sending)
        await sending.done

    # On the loop

    def _commit(self) -> None:
        turn, self._turn = self._turn, []
        postings = turn[0].postings if len(turn) == 1 else tuple(each for sending in turn for each in sending.postings)
        if not self._commit_at_once(postings):
            for sending in turn:
                self._hand_over(sending)
            return
        for sending in turn:
            sending.finish(None)

    def _commit_at_once(self, postings: tuple[Posting, ...]) -> bool:
        """False when it is for the thread: another has his turn, there is much to write, or something is wrong with
        one of them."""
        if len(postings) > MOST_ON_LOOP:
            return False
        started = self._monotonic()
        try:
            done = self._publisher.publish_at_once(postings)
        except Exception:  # somebody waits, whatever it was: the thread will meet it again, and tell whom it concerns
            return False
        if done:
            self._learn(self._monotonic() - started)
        return done

    def _learn(self, seconds: float) -> None:
        """Note how long a commit took."""
        self._usual += (min(seconds, _MOST_COUNTED) - self._usual) * _SHARE
        self._quick = self._usual < (SLOW_SECONDS if self._quick else QUICK_SECONDS)

    def _hand_over(self, sending: Sending) -> None:
        if self._pid != os.getpid():
            self._start()
        if sending.loop is self._loop:
            self._away += 1
        if sending.limit is not None:
            sending.timer = sending.loop.call_later(sending.limit, sending.finish, TimeoutError())
        self._sendings.put(sending)

    def _take_back(self, sending: Sending, error: Exception | None) -> None:
        if sending.loop is self._loop:
            self._away -= 1
        sending.finish(error)

    # In the thread

    def _start(self) -> None:
        with self._starting:
            if self._pid != os.getpid():
                self._sendings, self._away = SimpleQueue(), 0
                threading.Thread(target=self._serve, args=(self._sendings,), name="leveret-disk", daemon=True).start()
                self._pid = os.getpid()

    def _serve(self, sendings: SimpleQueue[Sending]) -> None:
        while True:
            batch = [sendings.get()]
            with suppress(Empty):
                while True:
                    batch.append(sendings.get_nowait())
            for sending, error in zip(batch, self._errors(batch), strict=True):
                # A loop that has ended has nobody left who waits.
                with suppress(RuntimeError):
                    sending.loop.call_soon_threadsafe(self._take_back, sending, error)
            del batch, sending

    def _errors(self, batch: list[Sending]) -> list[Exception | None]:
        started = self._monotonic()
        try:
            self._publisher.publish(tuple(each for sending in batch for each in sending.postings), self._timeout)
        except Exception as error:
            if len(batch) == 1:
                return [error]
            # One of them failed: each alone, so that only the guilty hears of it.
            return [self._errors([sending])[0] for sending in batch]
        self._learn(self._monotonic() - started)
        return [None] * len(batch)
