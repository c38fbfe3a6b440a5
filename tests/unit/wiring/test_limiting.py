"""A worker that cannot keep its tasks' limits does not start."""

import pytest

from leveret import CircuitBreaker, Concurrency, Leveret, Rate
from leveret.errors import ImproperlyConfigured
from leveret.wiring.worker import check_limited


def test_every_task_is_named_with_what_cannot_be_kept():
    app = Leveret("x", broker="memory://x", set_as_current=False)

    @app.task(name="a", limits=[Rate("1/s"), Concurrency(1)], unique_for=3)
    def first() -> None: ...

    @app.task(name="b", breaker=CircuitBreaker())
    def second() -> None: ...

    @app.task(name="c", rate_limit="1/s")
    def third() -> None: ...

    with pytest.raises(ImproperlyConfigured, match=r"rpc:// is none.*result_backend") as caught:
        check_limited(app.tasks, "rpc://")

    assert str(caught.value).endswith("be kept: a (limits, unique_for), b (breaker)")


def test_rate_limits_of_nodes_need_no_store():
    app = Leveret("x", broker="memory://x", set_as_current=False)

    @app.task(rate_limit="1/s")
    def job() -> None: ...

    check_limited(app.tasks, "rpc://")
