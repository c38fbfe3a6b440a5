"""The suite every driver must pass.

A driver's author writes one module, names the fixture, and imports the classes:

    from leveret.testing.conformance import *

    @pytest.fixture
    def driver_factory(tmp_path):
        return lambda options, clock: MyDriver(Url(f"my://{tmp_path}/x"), options, clock)

Each call of the factory is another process of the same server, which is fresh for each test. A case that needs more
than a broker must have says so (`needs.py`); it is skipped, with that reason, where the driver does not declare it.

A server that lives in its own time says `real_time = True`: cases then wait, a fifth of what they say, and those over
days are skipped. Where a session is a connection (no `Capability.LEASE`) each has a driver of its own, and connections
are broken: by the sockets that a `ports.driver.Witness` shows, or as a subclass of `Rig` says:

    class MyServer:
        real_time = True
        rig = MyRig  # sever(process): its connections break; vanish(process): it dies; spread(told): the living hear

        def __call__(self, options, clock):
            return MyDriver(self.url, options, clock)
"""

from leveret.testing.conformance.deaths import TestDeaths
from leveret.testing.conformance.lanes import TestComingBackToALane, TestCountingLanes, TestLanes
from leveret.testing.conformance.messages import TestClaims, TestEndings, TestMessages
from leveret.testing.conformance.operating import TestCounts, TestDeadLetters, TestFind, TestPurge, TestTrace
from leveret.testing.conformance.order import TestDelays, TestOrder, TestPriorities
from leveret.testing.conformance.records import TestJoins, TestKeeping, TestRecords, TestWaiting
from leveret.testing.conformance.sessions import TestConnections, TestLeases
from leveret.testing.conformance.settling.adding import TestAddedMembers
from leveret.testing.conformance.settling.along import TestCommitAndClaim
from leveret.testing.conformance.settling.commits import TestCommit, TestTheDoor

__all__ = [
    "TestAddedMembers",
    "TestClaims",
    "TestComingBackToALane",
    "TestCommit",
    "TestCommitAndClaim",
    "TestConnections",
    "TestCountingLanes",
    "TestCounts",
    "TestDeadLetters",
    "TestDeaths",
    "TestDelays",
    "TestEndings",
    "TestFind",
    "TestJoins",
    "TestKeeping",
    "TestLanes",
    "TestLeases",
    "TestMessages",
    "TestOrder",
    "TestPriorities",
    "TestPurge",
    "TestRecords",
    "TestTheDoor",
    "TestTrace",
    "TestWaiting",
]
