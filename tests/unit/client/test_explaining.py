"""`result.explain()` on an app in memory, in simulated time: days pass at once, and the true reason is named."""

import asyncio
from typing import Any

import pytest

from leveret import testing
from leveret.links.memory.gate import MemoryGate
from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Entry, RateBound
from leveret.model.node import Node, Session

MAIL = RateBound(key="mail", interval=60.0)


@pytest.fixture
def add(app: testing.StagedLeveret) -> Any:
    @app.task(name="add")
    def add(x: int) -> int:
        return x

    return add


@pytest.fixture
def flaky(app: testing.StagedLeveret) -> Any:
    @app.task(name="flaky", bind=True, max_retries=4)
    def flaky(self: Any) -> None:
        raise self.retry(countdown=3 * 86_400, exc=ValueError("not yet"))

    return flaky


def test_a_retry_is_told_with_its_number_its_time_and_why(app: testing.StagedLeveret, flaky: Any) -> None:
    result = flaky.delay()
    app.run_until_idle()
    assert result.explain().why.code == "retry"
    assert "attempt 2 of 5 at " in result.explain().why.text
    assert result.explain().why.text.endswith("(in 3 days), after ValueError: not yet")

    app.advance("3 days")
    assert "attempt 3 of 5" in result.explain().why.text

    app.advance("30 days")
    assert result.explain().why.code == "failed"


def test_a_rate_limit_is_told_until_its_turn(app: testing.StagedLeveret, add: Any) -> None:
    server = app.stage._server()  # the gate that a worker would ask
    server.register(
        Node(name="n@x", incarnation="i", boot="b", pid=1),
        (Session(id=SessionId("s"), node="n@x", incarnation="i", pid=1),),
    )

    async def ask() -> float:
        gate = MemoryGate(server)
        for name in ("a", "b"):
            await gate.enter(SessionId("s"), (Entry(id=name, attempt=1, bounds=(MAIL,)),))
        (answer,) = await gate.enter(SessionId("s"), (Entry(id="mine", attempt=1, bounds=(MAIL,)),))
        return answer.seconds

    seconds = asyncio.run(ask())
    result = add.apply_async((1,), task_id="mine", countdown=seconds)

    why = result.explain().why

    assert (why.code, why.facts["key"], why.facts["ahead"]) == ("rate-limit", "mail", 1)
    app.advance(seconds + 1)
    assert result.explain().why.code == "succeeded"


def test_one_that_is_revoked_or_expired_or_forgotten(app: testing.StagedLeveret, add: Any) -> None:
    gone = add.delay(1)
    gone.get()
    gone.forget()
    revoked, expired = add.apply_async((1,), countdown=100), add.apply_async((1,), expires=10)
    revoked.revoke()
    app.clock.advance(11)
    app.run_until_idle()

    codes = [result.explain().why.code for result in (revoked, expired, gone)]

    assert codes == ["revoked", "expired", "nothing-known"]


def test_whoever_waits_on_a_loop_is_told_to_await(app: testing.StagedLeveret, add: Any) -> None:
    result = add.delay(1)

    async def main() -> None:
        with pytest.raises(RuntimeError, match="aexplain"):
            result.explain()
        assert (await result.aexplain()).why is not None

    asyncio.run(main())
