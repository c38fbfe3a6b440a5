"""Bugs that schedulers could have, planted one at a time. The simulation must see each."""

import msgspec
from tests.simulation.schedules import Variant

from leveret.links.memory.schedules import Schedules
from leveret.logic.schedules import ticks
from leveret.scheduler import scheduler as shipped
from leveret.scheduler.scheduler import Scheduler


class ReportsFirst(Scheduler):
    """A run is reported before it is sent: who dies in between has lost it."""

    async def _send(self, fires, now, taken_at):
        await self._store.report(tuple(_report(fire) for fire in fires))
        await self._publish_all(fires, now)


class BelievesInSending(Scheduler):
    """A run that the broker did not take counts as sent."""

    async def _publish_all(self, fires, now):
        await super()._publish_all(fires, now)
        return fires


class NewIds(Scheduler):
    """What is handed on is sent under an id of its own."""

    async def _send(self, fires, now, taken_at):
        again = tuple(msgspec.structs.replace(fire, id=self._clock.new_id()) for fire in fires)
        await super()._send(again, now, taken_at)


class OwnClock(Scheduler):
    """It asks its own clock what time it is."""

    def _plan(self, standing, now):
        return ticks.decide(standing, self._clock.now())


class FromNow(Scheduler):
    """The next moment is computed from now, not from the moment before."""

    def _plan(self, standing, now):
        move = ticks.decide(standing, now)
        return msgspec.structs.replace(move, cursor=now, due=now + 1.0) if move.fires else move


class Forgets(Schedules):
    """What is taken is noted nowhere."""

    def _take(self, move, now):
        answer = super()._take(move, now)
        self._taken.clear()
        return answer


class TakesBlindly(Schedules):
    """Whoever decides is right, whatever has been decided meanwhile."""

    def _take(self, move, now):
        known = self._rows[move.name].standing
        return super()._take(msgspec.structs.replace(move, revision=known.revision, seen=known.cursor), now)


class SnapshotsNothing(Schedules):
    """What is handed on is the entry as it is by now."""

    def due(self, limit, now):
        found = super().due(limit, now)
        return msgspec.structs.replace(found, fires=tuple(self._as_now(fire) for fire in found.fires))

    def _as_now(self, fire):
        return ticks.fire_of(self._rows[fire.entry.name].standing, fire.moment)


def _report(fire):
    return shipped.Report(name=fire.entry.name, revision=fire.revision, moment=fire.moment, id=fire.id)


MUTANTS = (
    Variant(name="reported before sent", scheduler=ReportsFirst),
    Variant(name="failed send counts as sent", scheduler=BelievesInSending),
    Variant(name="handed on under a new id", scheduler=NewIds),
    Variant(name="own clock", scheduler=OwnClock),
    Variant(name="next computed from now", scheduler=FromNow),
    Variant(name="taken and not noted", schedules=Forgets),
    Variant(name="no compare in take", schedules=TakesBlindly),
    Variant(name="handed on as it is by now", schedules=SnapshotsNothing),
)
EXPECTED = {
    "reported before sent": "lost",
    "failed send counts as sent": "lost",
    "handed on under a new id": "fired twice",
    "own clock": "early",
    "next computed from now": "out of place",
    "taken and not noted": "lost",
    "no compare in take": "fired twice",
    "handed on as it is by now": "fired twice",
}
"""Which violation must be seen: found for another reason is not found."""
