"""The suite itself: a driver runs every case it has the means for, and is told which it lacks for the others."""

import time

import pytest

from leveret.brokers.memory import CAPABILITIES, MemoryDriver
from leveret.links.memory.server import MemoryServer
from leveret.model.endpoint import Url
from leveret.ports.broker import Capability
from leveret.testing import conformance
from leveret.testing.conformance.case import case, needs_of
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig


class Lesser(MemoryDriver):
    capabilities = CAPABILITIES - {Capability.DEDUPE}


class Slow:
    """A factory whose server is on its own time."""

    real_time = True

    def __call__(self, options, clock):
        return memory(options, clock)


def memory(options, clock):
    return MemoryDriver(Url("memory://suite"), options, clock, MemoryServer(options, clock))


def lesser(options, clock):
    return Lesser(Url("memory://suite"), options, clock, MemoryServer(options, clock))


class Cases:
    needs = (Trait.BROKER, Capability.DELAY)

    def __init__(self):
        self.ran = []

    @case
    async def test_plain(self, rig: Rig) -> None:
        self.ran.append("plain")

    @case(needs=Capability.DEDUPE)
    async def test_door(self, rig: Rig) -> None:
        self.ran.append("door")

    @case(needs=Trait.HOURS)
    async def test_days(self, rig: Rig) -> None:
        before = rig.clock.now()
        await rig.advance(86_400, step=3600)
        self.ran.append(rig.clock.now() - before)

    @case
    async def test_moments(self, rig: Rig) -> None:
        before = time.monotonic()
        await rig.advance(1)
        self.ran.append(time.monotonic() - before)

    @case
    async def test_wrong(self, rig: Rig) -> None:
        await rig.send("a")
        await rig.stands(0, 0, 0, 0)


def test_a_case_runs_where_its_needs_are_met():
    cases = Cases()

    cases.test_plain(memory)
    cases.test_door(memory)
    cases.test_days(memory)

    assert cases.ran == ["plain", "door", 86_400.0]


def test_a_case_is_skipped_with_the_ability_that_is_not_declared():
    cases = Cases()

    cases.test_plain(lesser)
    with pytest.raises(pytest.skip.Exception, match="this driver does not declare DEDUPE"):
        cases.test_door(lesser)

    assert cases.ran == ["plain"]


def test_in_real_time_the_rig_waits_and_days_are_not_waited_for():
    cases = Cases()

    cases.test_moments(Slow())
    with pytest.raises(pytest.skip.Exception, match="simulated clock"):
        cases.test_days(Slow())

    assert 0.2 <= cases.ran[0] < 5


def test_a_case_that_fails_fails():
    with pytest.raises(AssertionError):
        Cases().test_wrong(memory)


def test_the_needs_of_a_class_and_of_its_case_add_up():
    assert needs_of(Cases, Cases.test_door) == (Trait.BROKER, Capability.DELAY, Capability.DEDUPE)


def test_the_reference_runs_every_case_but_those_about_connections():
    suite = [getattr(conformance, name) for name in conformance.__all__]
    cases = [(cls, case) for cls in suite for name, case in vars(cls).items() if name.startswith("test_")]
    rig = Rig(memory)

    lacking = {cls.__name__ for cls, case in cases if not all(map(rig.has, needs_of(cls, case)))}

    assert len(cases) > 140
    assert lacking == {"TestConnections"}
