"""The suite every driver must pass.

A driver's author writes one module, names the fixture, and imports the classes:

    from leveret.testing.conformance import *

    @pytest.fixture
    def driver_factory(tmp_path):
        return lambda options, clock: MyDriver(Url(f"my://{tmp_path}/x"), options, clock)
"""

from leveret.testing.conformance.commits import TestCommit, TestTheDoor
from leveret.testing.conformance.deaths import TestDeaths
from leveret.testing.conformance.messages import TestClaims, TestEndings, TestMessages
from leveret.testing.conformance.operating import TestCounts, TestDeadLetters, TestFind, TestPurge
from leveret.testing.conformance.order import TestDelays, TestOrder, TestPriorities
from leveret.testing.conformance.records import TestJoins, TestKeeping, TestRecords, TestWaiting
from leveret.testing.conformance.sessions import TestConnections, TestLeases

__all__ = [
    "TestClaims",
    "TestCommit",
    "TestConnections",
    "TestCounts",
    "TestDeadLetters",
    "TestDeaths",
    "TestDelays",
    "TestEndings",
    "TestFind",
    "TestJoins",
    "TestKeeping",
    "TestLeases",
    "TestMessages",
    "TestOrder",
    "TestPriorities",
    "TestPurge",
    "TestRecords",
    "TestTheDoor",
    "TestWaiting",
]
