"""The caller's face: on the calling thread, no thread and no loop of its own; threads share a commit."""

import os
import threading
import time
from collections.abc import Callable, Sequence

from leveret.brokers.sql import alone
from leveret.errors import LeveretError, OperationalError, PublishFailed, StoreBusy
from leveret.links.sql import messages
from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.model.delivery import Posting
from leveret.model.options import DriverOptions
from leveret.ports.clock import Clock


class Ticket:
    """One thread's postings on their way into the next commit."""

    __slots__ = ("done", "error", "postings")

    def __init__(self, postings: Sequence[Posting]) -> None:
        self.postings = postings
        self.done = False
        self.error: Exception | None = None


class Publisher:
    """Group commit: whoever gets the durable connection's lock takes everything that waits into one transaction, one
    fsync.

    `_guard` guards the waiting list.
    """

    def __init__(self, database: Database, options: DriverOptions, clock: Clock) -> None:
        self._database = database
        self._now, self._high_first = clock.now, options.high_first
        self._pid = os.getpid()
        self._guard = threading.Lock()
        self._waiting: list[Ticket] = []

    def publish(self, postings: Sequence[Posting], timeout: float) -> None:
        """Return when all are durable; fail within `timeout` seconds."""
        if not postings:
            return
        if self._pid != os.getpid():
            self._start_over()
        connection, error = self._database.durable, None
        if not connection.lock.acquire(False):
            error = self._follow(time.monotonic() + timeout, Ticket(postings))
        else:
            try:
                # `_alone`, spared a call.
                if (
                    len(postings) == 1
                    and not self._waiting
                    and alone.publish(connection, postings[0], self._now(), self._high_first)
                ):
                    return
                error = self._take_along(postings, time.monotonic() + timeout)
            except OperationalError as why:
                error = failed(why)
            finally:
                connection.lock.release()
        if error is not None:
            raise error

    def publish_at_once(self, postings: Sequence[Posting]) -> bool:
        """Publish if there is nothing to wait for but the disk. False: it is another's turn, and nothing was sent."""
        if self._pid != os.getpid():
            self._start_over()
        connection = self._database.durable
        if self._waiting or not connection.lock.acquire(False):
            return False
        try:
            error = None if self._alone(connection, postings) else self._publish(postings, 0.0)
        finally:
            connection.lock.release()
        if error is not None and not isinstance(error.__cause__, StoreBusy):
            raise error
        return error is None

    def _start_over(self) -> None:
        """In a forked child: a thread that is not here may have held a lock."""
        self._database.own()
        self._guard = threading.Lock()
        self._waiting = []
        self._pid = os.getpid()

    def _alone(self, connection: Connection, postings: Sequence[Posting]) -> bool:
        return len(postings) == 1 and alone.publish(connection, postings[0], self._now(), self._high_first)

    def _take_along(self, postings: Sequence[Posting], deadline: float) -> Exception | None:
        return self._lead(deadline, Ticket(postings)) if self._waiting else self._publish(postings, deadline)

    def _publish(self, postings: Sequence[Posting], deadline: float) -> Exception | None:
        now, high_first = self._now(), self._high_first
        return self._write(lambda connection: messages.publish(connection, postings, now, high_first), deadline)

    def _follow(self, deadline: float, ticket: Ticket) -> Exception | None:
        """Wait for another thread's commit to take the ticket along, or for the lead."""
        with self._guard:
            self._waiting.append(ticket)
        lock = self._database.durable.lock
        if not lock.acquire(timeout=max(deadline - time.monotonic(), 0.0)):
            self._give_up(ticket)
            return ticket.error
        try:
            if not ticket.done:
                # It may have been left in the list of the process this one was forked from.
                self._lead(deadline, *(() if ticket in self._waiting else (ticket,)))
        finally:
            lock.release()
        return ticket.error

    def _lead(self, deadline: float, *own: Ticket) -> Exception | None:
        """Publish what waits, and one's own ticket; answers what became of that."""
        with self._guard:
            tickets, self._waiting = [*self._waiting, *own], []
        now, high_first = self._now(), self._high_first

        def work(connection: Connection) -> None:
            for ticket in tickets:
                messages.publish(connection, ticket.postings, now, high_first)

        error = self._write(work, deadline)
        if error is not None and len(tickets) > 1:
            self._write_apart(tickets, deadline)
        else:
            for ticket in tickets:
                ticket.done, ticket.error = True, error
        return own[0].error if own else None

    def _write_apart(self, tickets: list[Ticket], deadline: float) -> None:
        """One of a group failed: each alone, so that only the guilty hears of it."""
        for ticket in tickets:
            ticket.error = self._publish(ticket.postings, deadline)
            ticket.done = True

    def _write(self, work: Callable[[Connection], None], deadline: float) -> Exception | None:
        try:
            self._database.write(work, deadline=deadline, durable=True)
        except (OperationalError, StoreBusy) as error:
            return failed(error)
        except LeveretError as error:
            return error
        return None

    def _give_up(self, ticket: Ticket) -> None:
        with self._guard:
            waits = ticket in self._waiting
            if waits:
                self._waiting.remove(ticket)
        if waits:
            raise PublishFailed(f"nothing was sent: {self._database.path} stayed locked until the deadline")
        # Another thread is committing it and has a deadline too: wait for its word, so that it is always known.
        with self._database.durable.lock:
            return


def failed(error: Exception) -> PublishFailed:
    failure = PublishFailed(f"nothing was sent: {error}")
    failure.__cause__ = error
    return failure


class SqlBlockingBroker:
    """`ports.broker.BlockingBroker`."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database = database
        self.publish = publisher.publish

    def reply_address(self) -> str | None:
        """The address of this process's bell, bound when first asked for and anew after a fork."""
        bell = self._database.bell
        if bell is None or bell.pid != os.getpid():
            bell = self._database.reply_bell()
        return bell.address

    def close(self) -> None:
        self._database.close()
