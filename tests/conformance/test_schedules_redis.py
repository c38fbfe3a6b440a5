"""The schedule in Redis passes the suite that every store of a schedule must pass; under a prefix, in real time."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.servers.fixtures import shared_redis  # noqa: F401 - fixture
from tests.servers.redis import RedisServer

from leveret.logic.schedules import ticks
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.schedulestores.redis import TAKEN_AT_ONCE, RedisScheduleDriver
from leveret.testing.conformance.schedules import *  # noqa: F403
from leveret.testing.conformance.schedules.rig import Rig, ScheduleFactory, case, entry, move, told


@pytest.fixture
def schedule_factory(shared_redis: RedisServer) -> ScheduleFactory:  # noqa: F811
    shared_redis.call("FLUSHALL")

    def make(options, clock):
        prefixed = DriverOptions(poll_seconds=options.poll_seconds, transport={"global_keyprefix": "shop."})
        return RedisScheduleDriver(Url(shared_redis.url), prefixed, clock)

    make.real_time = True
    return make


class TestSchedulesInRedis:
    @case
    async def test_what_was_decided_about_an_older_entry_is_decided_anew(self, rig: Rig) -> None:
        """Both read before either writes."""
        await rig.store.put((entry("a"),))

        _, (put,) = await asyncio.gather(
            rig.store.sync("code", (entry("a", source="code"),)), rig.store.put((entry("a", 5.0),))
        )

        assert put is None
        assert (await rig.one()).entry == entry("a", source="code")

    @case
    async def test_changes_from_everywhere_at_once_all_come_about(self, rig: Rig) -> None:
        await asyncio.gather(
            *(store.put((entry("a", arguments=f"{n}"),)) for n, store in enumerate((rig.store, rig.other) * 10))
        )

        assert (await rig.one()).revision == 20

    @case
    async def test_more_fires_than_one_script_notes_are_all_taken(self, rig: Rig) -> None:
        standings = [await rig.due_in(60.0, name) for name in "abc"]
        moves = tuple(
            replace(move(s, s.cursor), fires=tuple(ticks.fire_of(s, s.cursor + n) for n in range(TAKEN_AT_ONCE - 1)))
            for s in standings
        )

        assert await rig.store.take(moves) == (True, True, True)

        await rig.advance(2.1)
        handed = (await rig.other.due(5000)).fires
        assert {fire.id for fire in handed} == {fire.id for made in moves for fire in made.fires}


def test_nothing_is_left_of_what_was_dropped(shared_redis: RedisServer, schedule_factory) -> None:  # noqa: F811
    async def main() -> None:
        rig = Rig(schedule_factory)
        await rig.store.sync("code", (entry("b", source="code"),))
        standing = await rig.due_in(0.1)
        decision = move(standing, standing.cursor + 0.1)
        await rig.store.take((decision,))
        await rig.store.report((told(decision.fires[0]),))
        await rig.store.drop(("a", "b"))
        await rig.close()

    asyncio.run(main())

    assert shared_redis.call("DBSIZE") == ":0"
