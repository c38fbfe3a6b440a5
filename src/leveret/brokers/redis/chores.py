"""Upkeep in small steps: the tick, what is due, what has expired."""

from leveret.links.redis import envelope
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import Names
from leveret.links.redis.scripts import Verb, ask, good
from leveret.model.options import DriverOptions

STEP = 200
"""Messages moved, or letters forgotten, in one run of the script: about 1 ms."""
BUSY_SECONDS = 0.01
"""The pause between two steps while there is more to do."""
LONGEST_SECONDS = 1.0
"""A fleet's tick is not older than this."""
JOINS = 50
"""Open joins looked at in one step."""


class RedisChores:
    """`ports.leases.Chores`. Any process may run it, and any number of them."""

    def __init__(self, hubs: Hubs, names: Names, options: DriverOptions) -> None:
        self._hubs, self._names, self._options = hubs, names, options

    async def upkeep(self) -> float:
        options, expires = self._options, self._options.dead_letter_expires
        keep = "" if expires is None else repr(float(expires))
        times = (repr(options.lease_seconds), repr(options.tick_stale_seconds))
        more, due = await self._hubs.own().perform(ask("upkeep", self._names.prefix, *times, STEP, keep))
        await self._hubs.own().perform(self._finish_joins())
        if more:
            return BUSY_SECONDS
        return min(LONGEST_SECONDS, float(due)) if due else LONGEST_SECONDS

    def _finish_joins(self) -> Verb[None]:
        """Hand the message of a member over once more where a Celery worker died before it published what its join
        releases. Counted as a redelivery: whoever gets it finds what is stored of it, and takes its seat again."""
        left = yield from ask("joins_due", self._names.prefix, JOINS)
        if left:
            parted = [one.partition(b"\n") for one in left]
            answers = yield [
                ("RPUSH", self._names.key(name.decode()), envelope.changed(raw, counted=True))
                for name, _, raw in parted
            ]
            for answer in answers:
                good(answer)
