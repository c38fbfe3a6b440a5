"""What the tasks of simulated workflows do: each answers a value that is computed from its number and its arguments."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from leveret.client.canvas.adding import placed
from leveret.client.tasks.replacing import taking_over
from leveret.errors import ChordError, Ignore, Reject
from leveret.logic.canvas.plan import ACCUMULATE
from leveret.model.message import Addition, Message
from leveret.model.request import CURRENT, Request
from leveret.model.signature import SignatureSpec
from leveret.model.task import RetryPolicy, TaskDefinition
from leveret.testing.simulation.canvas.model import value_of
from leveret.testing.simulation.canvas.trees import Leaf, to_spec
from leveret.testing.simulation.work import Transient


class WorkflowTasks:
    """The registry of one run."""

    def __init__(self, leaves: list[Leaf], add: Callable[[SignatureSpec, Message, Addition], bool]) -> None:
        """`add` sends a call as a member of a join and has it counted; False: nobody waits for it."""
        self._add = add
        self._subs = {leaf.n: leaf.sub for leaf in leaves if leaf.sub is not None}
        policy = RetryPolicy(
            max_retries=3, default_retry_delay=0.4, autoretry_for=(Transient,), retry_backoff=0.2, retry_backoff_max=1.0
        )
        table: dict[str, Callable[..., Any]] = {
            "ok": ok,
            "quiet": ok,
            "flaky": flaky,
            "fail": fail,
            "reject": reject,
            "ignore": ignore,
            "replace": self.replace,
            "add": self.add,
            "errback": ok,
            ACCUMULATE: accumulate,
        }
        self._definitions = {name: TaskDefinition(name=name, run=run, retry=policy) for name, run in table.items()}
        self._definitions["quiet"] = replace(self._definitions["quiet"], ignore_result=True)

    def find(self, name: str) -> TaskDefinition | None:
        return self._definitions.get(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._definitions)

    def replace(self, *given: Any, n: int, seconds: float = 0.0) -> None:
        sub = self._subs[n]
        assert sub is not None
        signal = Ignore("replaced")
        signal.replacement = taking_over(to_spec(sub), _request().message)
        raise signal

    def add(self, *given: Any, n: int, seconds: float = 0.0) -> str:
        sub, message = self._subs[n], _request().message
        assert sub is not None
        spec, addition = placed(to_spec(sub), message, 0)
        if not self._add(spec, message, addition):
            raise ChordError("another run has ended")
        return value_of(n, given)


def _request() -> Request:
    request = CURRENT.get()
    assert request is not None
    return request


def ok(*given: Any, n: int, seconds: float = 0.0) -> str:
    return value_of(n, given)


def flaky(*given: Any, n: int, seconds: float = 0.0) -> str:
    if _request().retries < 1 + n % 3:
        raise Transient(n)
    return value_of(n, given)


def fail(*given: Any, n: int, seconds: float = 0.0) -> None:
    raise ValueError("as planned")


def reject(*given: Any, n: int, seconds: float = 0.0) -> None:
    raise Reject("not wanted")


def ignore(*given: Any, n: int, seconds: float = 0.0) -> None:
    raise Ignore("nothing to say")


def accumulate(*given: Any, index: int) -> Any:
    return given[index]
