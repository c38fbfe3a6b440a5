"""The suite of a driver that is a result store only.

    from leveret.testing.conformance.backends import *

    @pytest.fixture
    def driver_factory(server):
        return StoreFactory(lambda options, clock: MyBackendDriver(server.url, options, clock))

Such a store is a server with a clock of its own, which cannot be stepped: `TestKeepingInRealTime` waits instead.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from leveret.model.message import TaskId
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.model.state import SUCCESS
from leveret.ports.clock import Clock
from leveret.ports.driver import BackendDriver
from leveret.testing.clock import SimClock
from leveret.testing.conformance.records import StoredRecords, TestJoins, TestWaiting
from leveret.testing.conformance.rig import OPTIONS, Rig, case, case_with, retry, success, tombstone

__all__ = ["StoreFactory", "TestJoins", "TestKeepingInRealTime", "TestStoredRecords", "TestWaiting"]


class StoreRig(Rig):
    """A rig without a broker: only `store`, `backend`, `driver` and `another` work."""

    def __init__(self, factory: Any, options: DriverOptions = OPTIONS, clock: SimClock | None = None) -> None:
        self.factory, self.options = factory, options
        self.clock = clock or SimClock()
        self.driver = factory(options, self.clock)
        self.backend = self.driver.backend()
        self._others: list[Rig] = []

    def another(self) -> Rig:
        rig = StoreRig(self.factory, self.options, self.clock)
        self._others.append(rig)
        return rig

    async def close(self) -> None:
        for rig in (*self._others, self):
            await rig.backend.close()


@dataclass(frozen=True)
class StoreFactory:
    """Makes drivers of one server that is fresh for each test."""

    make: Callable[[DriverOptions, Clock], BackendDriver]
    rig = StoreRig

    def __call__(self, options: DriverOptions, clock: Clock) -> Any:
        return self.make(options, clock)


class TestStoredRecords(StoredRecords):
    @case
    async def test_a_state_that_a_task_gave_itself_is_no_end(self, rig: Rig) -> None:
        """`update_state(state="SUCCESS")`: the real outcome is still to come."""
        own = Record(id=TaskId("a"), attempt=0, state=SUCCESS, meta=b'{"status":"SUCCESS","result":"so far"}')

        assert await rig.store(own) == (True,)
        assert await rig.backend.get(["a"]) == (own,)
        assert await rig.store(own, success("a", 0)) == (True, True)


class TestKeepingInRealTime:
    @case
    async def test_a_result_is_forgotten_when_its_time_is_over(self, rig: Rig) -> None:
        await rig.store(success("a", expires_after=0.2), success("b", expires_after=60), success("c"))
        assert None not in await rig.backend.get(["a", "b", "c"])

        await gone(rig, "a")

        assert [record and record.id for record in await rig.backend.get(["a", "b", "c"])] == [None, "b", "c"]
        assert await rig.store(success("a"), success("b")) == (True, False)

    @case
    async def test_storing_again_renews_the_term(self, rig: Rig) -> None:
        await rig.store(retry("a", expires_after=0.3), retry("b", expires_after=0.3))
        await rig.store(success("a", 1, expires_after=60))
        await gone(rig, "b")

        assert (await rig.backend.get(["a"]))[0] is not None

    @case
    async def test_a_term_ends_with_a_record_that_is_kept(self, rig: Rig) -> None:
        await rig.store(retry("a", expires_after=0.3), retry("b", expires_after=0.3))
        await rig.store(success("a", 1))
        await gone(rig, "b")

        assert (await rig.backend.get(["a"]))[0] is not None

    @case_with(replace(OPTIONS, tombstone_expires=0.3))
    async def test_a_tombstone_has_a_term_of_its_own(self, rig: Rig) -> None:
        await rig.store(tombstone("a"), tombstone("b", expires_after=60))
        assert None not in await rig.backend.get(["a", "b"])

        await gone(rig, "a")

        assert [record and record.id for record in await rig.backend.get(["a", "b"])] == [None, "b"]


async def gone(rig: Rig, name: str) -> None:
    """Wait until a record is forgotten."""
    while (await rig.backend.get([name]))[0] is not None:  # noqa: ASYNC110 - nobody rings when a term is over
        await asyncio.sleep(0.02)
