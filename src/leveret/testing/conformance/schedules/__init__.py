"""The suite every store of a schedule must pass (`ports.schedule`).

    from leveret.testing.conformance.schedules import *

    @pytest.fixture
    def schedule_factory(tmp_path):
        return lambda options, clock: MyScheduleDriver(Url(f"my://{tmp_path}/x"), options, clock)

Each call of the factory is another process of the same store, which is fresh for each test. A store that lives in its
own time says `real_time = True` on the factory: then cases wait where they would step the clock.
"""

from leveret.testing.conformance.schedules.cases import TestSchedules, TestScheduleSources, TestTakenRuns

__all__ = ["TestScheduleSources", "TestSchedules", "TestTakenRuns"]
