"""`fair_by=` of a task and `fair_key=` of a call: what the sender makes of them."""

from typing import Any

import pytest

from leveret import Leveret, chain, testing
from leveret.errors import ImproperlyConfigured
from leveret.model.message import lane_of
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.wiring.clock import SystemClock
from leveret.wiring.worker import join_worker


def by_tenant(app: Leveret, fair_by: Any = lambda tenant, **_: tenant) -> Any:
    @app.task(name="bill", fair_by=fair_by)
    def bill(tenant: str = "nobody", number: int = 0, *, urgent: bool = False) -> str:
        return f"{tenant} {number}"

    return bill


@pytest.mark.parametrize(
    ("args", "kwargs", "lane"),
    [
        (("acme", 7), {}, "acme"),
        (("acme",), {"number": 7, "urgent": True}, "acme"),
        ((), {"tenant": "acme"}, "acme"),
        ((), {}, "nobody"),
        ((None,), {}, ""),
    ],
)
def test_it_is_called_with_the_arguments_it_names(
    app: testing.StagedLeveret, args: Any, kwargs: Any, lane: str
) -> None:
    assert lane_of(by_tenant(app).message(args, kwargs, {})) == lane


@pytest.mark.parametrize(
    ("fair_by", "lane"),
    [
        (lambda number: number, "7"),
        (lambda tenant, number: f"{tenant}/{number}", "acme/7"),
        (lambda *args, **kwargs: args[0], "acme"),
        (lambda customer, invoice: customer, "acme"),
        (lambda **given: len(given), "3"),
        (lambda: "all", "all"),
    ],
)
def test_functions_of_every_shape(app: testing.StagedLeveret, fair_by: Any, lane: str) -> None:
    assert lane_of(by_tenant(app, fair_by).message(("acme", 7), {}, {})) == lane


def test_a_bound_task_is_no_argument(app: testing.StagedLeveret) -> None:
    @app.task(bind=True, fair_by=lambda tenant: tenant)
    def bill(self: Any, tenant: str) -> None: ...

    assert lane_of(bill.message(("acme",), {}, {})) == "acme"


def test_a_key_that_is_given_wins_also_by_name_only(app: testing.StagedLeveret) -> None:
    bill = by_tenant(app)

    assert lane_of(bill.message(("acme",), {}, {"fair_key": 12})) == "12"
    assert lane_of(app.client.compose("shop.unknown", (), {}, {"fair_key": "acme"})) == "acme"


def test_a_task_without_it_has_no_lane(app: testing.StagedLeveret) -> None:
    @app.task
    def plain() -> None: ...

    assert plain.message((), {}, {}).settings == {}


@pytest.mark.parametrize("fair_by", ["tenant", 7, ("tenant",)])
def test_what_cannot_be_called_is_refused_where_the_task_is_made(app: testing.StagedLeveret, fair_by: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"bill: fair_by=.*expected a function"):
        by_tenant(app, fair_by)


def test_a_function_that_fails_fails_the_call_and_nothing_is_sent(app: testing.StagedLeveret) -> None:
    bill = by_tenant(app, lambda tenant: tenant.name)

    with pytest.raises(ImproperlyConfigured, match=r"bill: fair_by raised AttributeError"):
        bill.delay("acme")
    assert app.sent() == []


def test_each_step_of_a_chain_goes_to_its_lane(app: testing.StagedLeveret) -> None:
    bill = by_tenant(app)

    chain(bill.s("acme"), bill.si("tiny", 7)).delay()

    assert lane_of(app.sent(bill)[0].message) == "acme"
    assert app.run_until_idle() == 2


def test_a_broker_without_lanes_refuses_the_call_and_the_worker() -> None:
    app = Leveret("rabbit", broker="amqp://guest@127.0.0.1:1//", set_as_current=False)
    bill = by_tenant(app)
    node = Node(name="n", incarnation="n-1", boot="b", pid=1)

    with pytest.raises(ImproperlyConfigured, match=r"bill has a fair_by .* cannot let keys take turns: use Redis or"):
        bill.delay("acme")
    with pytest.raises(ImproperlyConfigured, match=r"bill has a fair_by"):
        join_worker(app.conf.settings, WorkerOptions(node=node), app.tasks, SystemClock())
