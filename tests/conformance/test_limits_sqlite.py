"""The limits in a SQLite file pass the suite that every keeper of limits must pass: as broker, and beside another one."""

import pytest

from leveret.backends.sql.driver import SqlBackendDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.model.endpoint import Url
from leveret.testing.conformance.limits import *  # noqa: F403


@pytest.fixture(params=[SqlDriver, SqlBackendDriver], ids=["broker", "results"])
def limits_factory(request, tmp_path):
    return lambda options, clock: request.param(Url(f"sqlite:///{tmp_path}/queue.db"), options, clock)
