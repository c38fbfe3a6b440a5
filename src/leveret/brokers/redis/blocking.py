"""The caller's face: on the calling thread, no thread and no loop of its own."""

import time
from collections.abc import Sequence

from leveret.brokers.redis.publishing import Desk, failure
from leveret.brokers.redis.turns import Turns
from leveret.errors import OperationalError
from leveret.links.redis.blocking import Pool
from leveret.links.redis.refusals import Lost
from leveret.logic.retry import reconnect_delay
from leveret.model.delivery import Posting
from leveret.ports.clock import Clock

TRUSTED_SECONDS = 0.1
"""After its last use a connection is taken for alive: what breaks it now is met by the next try."""


class RedisBlockingBroker:
    """`ports.broker.BlockingBroker`. What arrived twice is there once: so it is sent again while there is time."""

    def __init__(self, pool: Pool, desk: Desk, clock: Clock) -> None:
        self._pool, self._desk, self._clock = pool, desk, clock
        self._turns = Turns(self._publish)

    def publish(self, postings: tuple[Posting, ...], *, timeout: float) -> None:
        if postings:
            self._turns.publish(postings, timeout)

    def _publish(self, postings: Sequence[Posting], timeout: float) -> None:
        end, failures, unknown = time.monotonic() + timeout, 0, False
        while True:
            sent = False
            try:
                with self._pool.borrowed(end - time.monotonic(), trusted=TRUSTED_SECONDS) as connection:
                    sent = True
                    now, began = self._clock.now(), time.monotonic()
                    # The way of `delay()`: it passes four generators less.
                    command = self._desk.alone(postings, now)
                    if command is None or type(connection.ask_one(command, end)) is not int:
                        connection.carry_out(self._desk.publish(postings, now), end)
                    if not unknown and self._desk.late(self._pool.location, postings, time.monotonic() - began):
                        self._pool.close()
                        raise Lost("the master answered late; the sentinels are asked whether it is one still")
                return
            except Lost as error:
                unknown = unknown or sent
                failures += 1
                pause = reconnect_delay(failures, self._clock.jitter())
                if time.monotonic() + pause >= end:
                    raise failure(error, postings, sent=unknown) from error
            except OperationalError as error:
                raise failure(error, postings, sent=sent, unknown=unknown) from error
            time.sleep(pause)

    def reply_address(self) -> str | None:
        """Results are published on channels of their own."""
        return None

    def close(self) -> None:
        self._pool.close()
