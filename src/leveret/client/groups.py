"""Several results as one."""

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, cast

from leveret.client.client import Client
from leveret.client.current import default_app
from leveret.client.options import Seconds, seconds
from leveret.client.results import revoking
from leveret.client.results.joining import assert_will_not_block
from leveret.client.results.looking import look, looks
from leveret.client.results.saving import forget_saved, read_saved, saved_record
from leveret.client.results.view import ResultView


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

    @property
    def client(self) -> Client:
        """Its app's; else that of its first result; else the default app's."""
        if self._app is None:
            for result in self.results:
                found = getattr(result, "client", None)
                if found is not None:
                    return found  # type: ignore[no-any-return] # whatever results it was given
        return (default_app() if self._app is None else self._app).client

    def ready(self) -> bool:
        look(self.results)
        return all(result.ready() for result in self.results)

    def successful(self) -> bool:
        look(self.results)
        return all(result.successful() for result in self.results)

    def failed(self) -> bool:
        look(self.results)
        return any(result.failed() for result in self.results)

    def waiting(self) -> bool:
        look(self.results)
        return any(not result.ready() for result in self.results)

    def completed_count(self) -> int:
        """How many have succeeded."""
        look(self.results)
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

    async def aget(self, timeout: Seconds | None = None, propagate: bool = True) -> list[Any]:
        """As `get`, on the running loop."""
        left = _countdown(self.results, timeout)
        return [await result.aget(timeout=left(), propagate=propagate) for result in self.results]

    ajoin = aget

    async def aready(self) -> bool:
        await looks(self.results)
        return all([await result.aready() for result in self.results])

    async def acompleted_count(self) -> int:
        await looks(self.results)
        return sum([await result.asuccessful() for result in self.results])

    async def asuccessful(self) -> bool:
        return await self.acompleted_count() == len(self.results)

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._await().__await__()

    def forget(self) -> None:
        for result in self.results:
            result.forget()

    async def aforget(self) -> None:
        for result in self.results:
            await result.aforget()

    def revoke(self, terminate: bool = False, signal: str | None = None, **options: Any) -> None:
        """Revoke each that has not begun; with `terminate` end those that have, too."""
        single, others = revoking.parted(self.results)
        for result in single:
            result.end_unbegun()
        for client, ids in revoking.by_client(single):
            revoking.tell(client, ids, terminate, signal)
        for other in others:
            other.revoke(terminate=terminate, signal=signal, **options)

    async def arevoke(self, terminate: bool = False, signal: str | None = None, **options: Any) -> None:
        single, others = revoking.parted(self.results)
        for result in single:
            await result.aend_unbegun()
        for client, ids in revoking.by_client(single):
            await revoking.atell(client, ids, terminate, signal)
        for other in others:
            await other.arevoke(terminate=terminate, signal=signal, **options)

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

    @property
    def known_parent(self) -> Any:
        """The result it stands behind, as far as this handle knows."""
        return self.parent

    def follow(self, parent: Any) -> None:
        """Stand behind `parent` in a chain."""
        self.parent = parent

    def save(self, backend: Any = None) -> "GroupResult":
        """Keep which results it has in the store, for `restore(id)` in another process."""
        self.client.backend().store((saved_record(self.client, str(self.id), self.as_tuple()),))
        return self

    async def asave(self) -> "GroupResult":
        record = saved_record(self.client, str(self.id), self.as_tuple())
        await self.client.backend_of_loop().store((record,))
        return self

    @classmethod
    def restore(cls, id: str, backend: Any = None, app: Any = None) -> "GroupResult | None":
        """What `save` kept under the group's id; None where nothing is."""
        app = default_app() if app is None else app
        written = read_saved(app.client, id)
        return None if written is None else cast(GroupResult, result_from_tuple(written, app))

    def delete(self, backend: Any = None) -> None:
        """Forget what `save` kept; the results themselves stay."""
        forget_saved(self.client, str(self.id))

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
    if isinstance(written, ResultView | ResultSet):
        return written
    app = default_app() if app is None else app
    head, parts = written
    own, above = head if isinstance(head, list | tuple) else (head, None)
    parent = result_from_tuple(above, app) if above else None
    if parts is None:
        return app.AsyncResult(own, parent=parent)
    return GroupResult(own, [result_from_tuple(part, app) for part in parts], parent=parent, app=app)


def _countdown(results: list[Any], timeout: Seconds | None) -> Callable[[], float | None]:
    """Seconds left of one timeout that several waits share."""
    monotonic = _monotonic(results)
    if timeout is None or monotonic is None:
        return lambda: None if timeout is None else seconds(timeout)
    deadline = monotonic() + seconds(timeout)
    return lambda: max(0.0, deadline - monotonic())


def _monotonic(results: list[Any]) -> Callable[[], float] | None:
    for result in results:
        clock = getattr(result, "clock", None)
        found = _monotonic(result.results) if isinstance(result, ResultSet) else clock and clock.monotonic
        if found is not None:
            return found
    return None
