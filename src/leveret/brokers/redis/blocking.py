"""The caller's face: on the calling thread, no thread and no loop of its own."""

import time

from leveret.brokers.redis.publishing import AT_ONCE, Desk
from leveret.errors import OperationalError, PublishFailed, PublishUnknown
from leveret.links.redis.blocking import Pool
from leveret.links.redis.refusals import Lost
from leveret.logic.retry import reconnect_delay
from leveret.model.delivery import Posting
from leveret.ports.clock import Clock


class RedisBlockingBroker:
    """`ports.broker.BlockingBroker`. What arrived twice is there once: so it is sent again while there is time."""

    def __init__(self, pool: Pool, desk: Desk, clock: Clock) -> None:
        self._pool, self._desk, self._clock = pool, desk, clock

    def publish(self, postings: tuple[Posting, ...], *, timeout: float) -> None:
        if not postings:
            return
        end, failures, unknown = time.monotonic() + timeout, 0, False
        while True:
            sent = False
            try:
                with self._pool.borrowed(end - time.monotonic()) as connection:
                    sent = True
                    connection.carry_out(self._desk.publish(postings, self._clock.now()), end)
                return
            except Lost as error:
                unknown = unknown or sent
                failures += 1
                pause = reconnect_delay(failures, self._clock.jitter())
                if time.monotonic() + pause >= end:
                    if unknown:
                        raise PublishUnknown(f"{error}; sending the same again is safe") from error
                    raise PublishFailed(f"nothing was sent: {error}") from error
            except OperationalError as error:
                if unknown or len(postings) > AT_ONCE:
                    raise PublishUnknown(f"{error}; some of it may have been sent before") from error
                raise
            time.sleep(pause)

    def reply_address(self) -> str | None:
        """Results are published on channels of their own."""
        return None

    def close(self) -> None:
        self._pool.close()
