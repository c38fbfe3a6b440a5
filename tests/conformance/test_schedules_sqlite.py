"""The schedule in a SQLite file passes the suite that every store of a schedule must pass."""

import pytest

from leveret.model.endpoint import Url
from leveret.schedulestores.sql import SqlScheduleDriver
from leveret.testing.conformance.schedules import *  # noqa: F403


@pytest.fixture
def schedule_factory(tmp_path):
    return lambda options, clock: SqlScheduleDriver(Url(f"sqlite:///{tmp_path}/queue.db"), options, clock)
