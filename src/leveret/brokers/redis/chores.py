"""Upkeep in small steps: the tick, what is due, what has expired."""

from leveret.brokers.redis.kombu.left import finish
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import Names
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.scripts import ask
from leveret.model.options import DriverOptions

STEP = 200
"""Messages moved, or letters forgotten, in one run of the script: about 1 ms."""
BUSY_SECONDS = 0.01
"""The pause between two steps while there is more to do."""
LONGEST_SECONDS = 1.0
"""A fleet's tick is not older than this."""


class RedisChores:
    """`ports.leases.Chores`. Any process may run it, and any number of them."""

    def __init__(self, hubs: Hubs, names: Names, results: Verbs, options: DriverOptions) -> None:
        self._hubs, self._names, self._results, self._options = hubs, names, results, options

    async def upkeep(self) -> float:
        options, expires = self._options, self._options.dead_letter_expires
        keep = "" if expires is None else repr(float(expires))
        times = (repr(options.lease_seconds), repr(options.tick_stale_seconds))
        more, due = await self._hubs.own().perform(ask("upkeep", self._names.prefix, *times, STEP, keep))
        await self._hubs.own().perform(finish(self._names, self._results))
        if more:
            return BUSY_SECONDS
        return min(LONGEST_SECONDS, float(due)) if due else LONGEST_SECONDS
