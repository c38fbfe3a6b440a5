"""The suite every keeper of limits must pass (`ports.limiting.gate`).

    from leveret.testing.conformance.limits import *

    @pytest.fixture
    def limits_factory(tmp_path):
        return lambda options, clock: MyDriver(Url(f"my://{tmp_path}/x"), options, clock)

Each call of the factory is another process of the same server, which is fresh for each test. A driver that keeps limits
for brokers elsewhere has a `ledger()` where others have `leases()`. A server that lives in its own time says
`real_time = True` on the factory: then cases wait where they would step the clock.
"""

from leveret.testing.conformance.limits.breaking import TestBreakers, TestBudgets
from leveret.testing.conformance.limits.drills import TestManyAtOnce
from leveret.testing.conformance.limits.keys import TestUniqueKeys
from leveret.testing.conformance.limits.pacing import TestRates
from leveret.testing.conformance.limits.seats import TestInsight, TestSeveralBounds, TestSlots

__all__ = [
    "TestBreakers",
    "TestBudgets",
    "TestInsight",
    "TestManyAtOnce",
    "TestRates",
    "TestSeveralBounds",
    "TestSlots",
    "TestUniqueKeys",
]
