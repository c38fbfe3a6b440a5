"""The suite every driver must pass.

A driver's author writes one module, names the fixture, and imports the classes:

    from leveret.testing.conformance import *

    @pytest.fixture
    def driver_factory(tmp_path):
        return lambda options, clock: MyDriver(Url(f"my://{tmp_path}/x"), options, clock)
"""

from leveret.testing.conformance.commits import TestCommit, TestTheDoor
from leveret.testing.conformance.deaths import TestDeaths, TestLeases
from leveret.testing.conformance.messages import TestClaims, TestMessages
from leveret.testing.conformance.operating import TestCounts, TestDeadLetters, TestFind, TestPurge
from leveret.testing.conformance.order import TestDelays, TestOrder
from leveret.testing.conformance.records import TestJoins, TestKeeping, TestRecords, TestWaiting

__all__ = [
    "TestClaims",
    "TestCommit",
    "TestCounts",
    "TestDeadLetters",
    "TestDeaths",
    "TestDelays",
    "TestFind",
    "TestJoins",
    "TestKeeping",
    "TestLeases",
    "TestMessages",
    "TestOrder",
    "TestPurge",
    "TestRecords",
    "TestTheDoor",
    "TestWaiting",
]
