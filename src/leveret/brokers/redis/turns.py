"""Threads that send at the same time share a round trip: one sends, and the next takes along what came meanwhile."""

import os
import threading
import time
from collections.abc import Callable, Sequence

from leveret.errors import PublishFailed, PublishUnknown
from leveret.model.delivery import Posting

MOST_TOGETHER = 64


class Ticket:
    """One thread's postings. `bell` is held until they are sent, or until it is this thread's turn to send."""

    __slots__ = ("bell", "done", "error", "postings")

    def __init__(self, postings: Sequence[Posting]) -> None:
        self.postings = postings
        self.bell = threading.Lock()
        self.bell.acquire()
        self.done = False
        self.error: BaseException | None = None


class Turns:
    """`send` raises, or all it was given is there. It is called by whoever's turn it is, by one at a time.

    `_guard` guards `_busy` and `_waiting`.
    """

    def __init__(self, send: Callable[[Sequence[Posting], float], None]) -> None:
        self._send = send
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._busy = False
        self._waiting: list[Ticket] = []

    def publish(self, postings: Sequence[Posting], timeout: float) -> None:
        """Send, alone or with others; fail within `timeout` seconds."""
        if self._pid != os.getpid():
            # In a forked child: a thread that is not here may have had its turn.
            self._pid, self._guard, self._busy, self._waiting = os.getpid(), threading.Lock(), False, []
        ticket: Ticket | None = None
        with self._guard:
            if self._busy:
                ticket = Ticket(postings)
                self._waiting.append(ticket)
            else:
                self._busy = True
        if ticket is None:
            try:
                self._send(postings, timeout)
            finally:
                self._pass_on()
        else:
            self._wait(ticket, timeout)

    def _wait(self, ticket: Ticket, timeout: float) -> None:
        end = time.monotonic() + timeout
        try:
            sent_or_ours = ticket.bell.acquire(timeout=timeout)
        except BaseException:  # a signal's handler, a killed greenlet: nobody may wait for a thread that has gone on
            if not self._forsake(ticket) and ticket.bell.acquire(False) and not ticket.done:
                self._pass_on()
            raise
        if not sent_or_ours:
            if self._forsake(ticket):
                raise PublishFailed("nothing was sent: others were sending until the deadline")
            ticket.bell.acquire()  # it is under way, and its sender has no more patience than we
        if not ticket.done:
            self._lead(ticket, end - time.monotonic())
        if ticket.error is not None:
            raise ticket.error

    def _forsake(self, ticket: Ticket) -> bool:
        """Leave the line; False when nobody stands there under that name any more."""
        with self._guard:
            waits = ticket in self._waiting
            if waits:
                self._waiting.remove(ticket)
            return waits

    def _lead(self, own: Ticket, timeout: float) -> None:
        """Send what has come meanwhile together with one's own."""
        with self._guard:
            others, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        for one in others:
            one.error = _shared("the thread that sent for others was interrupted")
        try:
            self._together((own, *others), timeout)
        finally:
            self._pass_on()
            for one in others:
                one.done = True
                one.bell.release()

    def _together(self, tickets: Sequence[Ticket], timeout: float) -> None:
        end = time.monotonic() + timeout
        try:
            self._send([posting for one in tickets for posting in one.postings], timeout)
        except PublishUnknown as error:
            # Redis knows a send by its first message. Apart, the others would be there twice where it has arrived.
            for one in tickets:
                one.error = _shared(str(error)) if len(tickets) > 1 else error
        except Exception as error:
            if len(tickets) > 1:
                self._apart(tickets, end - time.monotonic())
            else:
                tickets[0].error = error
        else:
            for one in tickets:
                one.error = None

    def _apart(self, tickets: Sequence[Ticket], timeout: float) -> None:
        """One of several failed: each alone, so that only the guilty hears of it."""
        end = time.monotonic() + timeout
        for one in tickets:
            try:
                self._send(one.postings, end - time.monotonic())
            except Exception as error:
                one.error = error
            else:
                one.error = None

    def _pass_on(self) -> None:
        """It is the turn of whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.pop(0).bell.release()
            else:
                self._busy = False


def _shared(why: str) -> PublishUnknown:
    error = PublishUnknown(f"{why}; it may have been sent, together with others")
    error.repeatable = False
    return error
