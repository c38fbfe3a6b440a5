"""pytest fixtures (loaded by pytest itself when Leveret is installed).

Override `leveret_app` in your `conftest.py` to have your own app put on the stage:

    @pytest.fixture
    def leveret_app():
        from shop.tasks import app
        return app
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from leveret.app import Leveret
    from leveret.testing.sent import Sent
    from leveret.testing.stage import Stage


# Imports inside: pytest loads this file in every project that has Leveret installed, also where nobody uses it.
@pytest.fixture
def leveret_app() -> "Leveret":
    """The app under test: a fresh one in memory; override it with yours."""
    from leveret.testing.stage import app

    return app()


@pytest.fixture
def leveret_worker(leveret_app: "Leveret") -> "Iterator[Stage]":
    """The app on its stage: `run_until_idle()`, `advance("3 days")`; a `get()` runs what it waits for."""
    from leveret.testing.stage import StagedLeveret, using

    if isinstance(leveret_app, StagedLeveret):
        yield leveret_app.stage
        return
    with using(leveret_app) as stage:
        yield stage


@pytest.fixture
def sent(leveret_worker: "Stage") -> "Callable[..., list[Sent]]":
    """`sent(task)`: the calls so far."""
    return leveret_worker.sent


@pytest.fixture
def assert_sent(leveret_worker: "Stage") -> "Callable[..., Sent]":
    """`assert_sent(task, *args, queue="x", key=value)`."""
    return leveret_worker.assert_sent
