"""Every test here has an app of its own, in memory on simulated time."""

from collections.abc import Iterator

import pytest

from leveret import testing
from leveret.client import current


@pytest.fixture
def app() -> Iterator[testing.StagedLeveret]:
    before = current.peek()
    yield testing.app()
    current.set_default(before)
