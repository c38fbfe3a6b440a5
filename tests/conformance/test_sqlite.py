"""SQLite, one file per test."""

import pytest

from leveret.model.endpoint import Url
from leveret.testing.conformance import *  # noqa: F403 - the suite's classes, collected here
from leveret.testing.conformance.fleet import DriverFactory

driver = pytest.importorskip("leveret.brokers.sql.driver")


@pytest.fixture
def driver_factory(tmp_path) -> DriverFactory:
    url = Url(f"sqlite:///{tmp_path}/queue.db")
    return lambda options, clock: driver.SqlDriver(url, options, clock)
