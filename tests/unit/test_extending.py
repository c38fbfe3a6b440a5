"""Middleware is put around runs in order, and decides what comes of them."""

import pytest

from leveret import testing
from leveret.errors import Retry
from leveret.ports.middleware import Middleware


class Noting(Middleware):
    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen

    def around_run(self, request, call):
        self.seen.append(f"{self.name} before {request.task}")
        try:
            return call()
        finally:
            self.seen.append(f"{self.name} after")

    async def around_run_async(self, request, call):
        self.seen.append(f"{self.name} before {request.task}")
        try:
            return await call()
        finally:
            self.seen.append(f"{self.name} after")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_first_is_outermost(asynchronous: bool) -> None:
    app, seen = testing.app(), []
    app.middleware += [Noting("one", seen), Noting("two", seen)]

    def plain(a):
        seen.append("run")
        return a

    async def coroutine(a):
        return plain(a)

    task = app.task(coroutine if asynchronous else plain)
    result = task.delay(5)
    app.run_until_idle()

    assert result.get() == 5
    assert seen == [f"one before {task.name}", f"two before {task.name}", "run", "two after", "one after"]


def test_it_may_answer_change_and_refuse() -> None:
    app = testing.app()

    @app.add_middleware
    class Deciding(Middleware):
        def around_run(self, request, call):
            if request.args[0] == "answer":
                return "answered"
            if request.args[0] == "refuse":
                raise ValueError("refused")
            if request.args[0] == "later" and not request.retries:
                raise Retry(when=10)
            return call() + "!"

    @app.task
    def say(word):
        return word

    results = {word: say.delay(word) for word in ("answer", "change", "refuse", "later")}
    app.run_until_idle()
    assert (results["answer"].get(), results["change"].get()) == ("answered", "change!")
    with pytest.raises(ValueError, match="refused"):
        results["refuse"].get()
    assert results["later"].state == "RETRY"
    app.advance(10)
    assert results["later"].get() == "later!"
