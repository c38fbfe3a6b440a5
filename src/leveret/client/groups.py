"""Several results as one."""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from leveret.client.options import Seconds, seconds
from leveret.client.result import AsyncResult
from leveret.client.results.joining import assert_will_not_block


class ResultSet:
    """Results in order, waited for together. The client's clock tells how much of a timeout is left."""

    def __init__(self, results: Iterable[Any] = (), app: Any = None) -> None:
        self.results: list[Any] = list(results)
        self._app = app

    def add(self, result: Any) -> None:
        if result not in self.results:
            self.results.append(result)

    def remove(self, result: Any) -> None:
        self.results.remove(result)

    def discard(self, result: Any) -> None:
        if result in self.results:
            self.results.remove(result)

    def update(self, results: Iterable[Any]) -> None:
        for result in results:
            self.add(result)

    def clear(self) -> None:
        self.results.clear()

    def ready(self) -> bool:
        return all(result.ready() for result in self.results)

    def successful(self) -> bool:
        return all(result.successful() for result in self.results)

    def failed(self) -> bool:
        return any(result.failed() for result in self.results)

    def waiting(self) -> bool:
        return any(not result.ready() for result in self.results)

    def completed_count(self) -> int:
        return sum(1 for result in self.results if result.successful())

    def get(
        self,
        timeout: Seconds | None = None,
        propagate: bool = True,
        interval: Seconds = 0.5,
        callback: Callable[[str, Any], Any] | None = None,
        no_ack: bool = True,
        on_message: Any = None,
        disable_sync_subtasks: bool = True,
        on_interval: Callable[[], Any] | None = None,
    ) -> list[Any]:
        """Wait for all; the values in the order of the results. Celery's signature."""
        if disable_sync_subtasks:
            assert_will_not_block()
        left = _countdown(self.results, timeout)
        values = []
        for result in self.results:
            value = result.get(
                timeout=left(), propagate=propagate, interval=interval, on_interval=on_interval,
                disable_sync_subtasks=disable_sync_subtasks,
            )  # fmt: skip
            if callback is not None:
                callback(result.id, value)
            values.append(value)
        return values

    join = get
    join_native = get

    def iter_native(self, timeout: Seconds | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """(id, {"status", "result"}) of each, in order."""
        left = _countdown(self.results, timeout)
        for result in self.results:
            result.get(timeout=left(), propagate=False)
            yield result.id, {"status": result.state, "result": result.result}

    async def _await(self) -> list[Any]:
        return [await result for result in self.results]

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._await().__await__()

    def forget(self) -> None:
        for result in self.results:
            result.forget()

    def revoke(self, **options: Any) -> None:
        for result in self.results:
            result.revoke(**options)

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> None:
        for result in self.results:
            result.maybe_throw(propagate=propagate, callback=callback)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.results)

    def __getitem__(self, index: int) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ResultSet) and other.results == self.results

    __hash__ = None  # type: ignore[assignment] # a set of results changes, as Celery's

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: [{', '.join(str(result.id) for result in self.results)}]>"


class GroupResult(ResultSet):
    """The results of a group, in the order of its tasks."""

    def __init__(self, id: str | None = None, results: Iterable[Any] = (), parent: Any = None, app: Any = None) -> None:
        super().__init__(results, app)
        self.id = id
        self.parent = parent

    @property
    def children(self) -> list[Any]:
        return self.results

    def as_tuple(self) -> tuple[Any, ...]:
        above = None if self.parent is None else self.parent.as_tuple()
        return ((self.id, above), [result.as_tuple() for result in self.results])

    def __bool__(self) -> bool:
        return bool(self.id or self.results)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GroupResult) and other.id == self.id and other.results == self.results

    __hash__ = None

    def __repr__(self) -> str:
        return f"<GroupResult: {self.id} [{', '.join(str(result.id) for result in self.results)}]>"


def result_from_tuple(written: Any, app: Any = None) -> Any:
    """Read what `as_tuple()` wrote: the handle of one call or of a group, with those before it."""
    if isinstance(written, AsyncResult | ResultSet):
        return written
    head, parts = written
    own, above = head if isinstance(head, list | tuple) else (head, None)
    parent = result_from_tuple(above, app) if above else None
    if parts is None:
        return AsyncResult(own, parent=parent, app=app)
    return GroupResult(own, [result_from_tuple(part, app) for part in parts], parent=parent, app=app)


def _countdown(results: list[Any], timeout: Seconds | None) -> Callable[[], float | None]:
    """Seconds left of one timeout that several waits share."""
    clocked = next((result for result in results if isinstance(result, AsyncResult)), None)
    if timeout is None or clocked is None:
        return lambda: None if timeout is None else seconds(timeout)
    monotonic = clocked.clock.monotonic
    deadline = monotonic() + seconds(timeout)
    return lambda: max(0.0, deadline - monotonic())
