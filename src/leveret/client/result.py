"""Handles on results that may not exist yet."""

import builtins
import logging
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

from leveret.client.loops import running_loop
from leveret.client.options import Seconds, seconds
from leveret.client.results import revoking
from leveret.client.results.joining import assert_will_not_block
from leveret.client.results.tree import ResultTree
from leveret.client.results.view import shown
from leveret.client.waiting import Awaited, Patience, still_waiting
from leveret.errors import ResultIgnored, TimeoutError
from leveret.logic.results import ResultMeta, write_meta
from leveret.model import state as states
from leveret.model.message import TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.settlement import Record

T = TypeVar("T")

log = logging.getLogger("leveret.client")


class Progress(NamedTuple):
    """One state a task passed through before its end: `update_state`'s state and meta."""

    state: str
    info: Any


class AsyncResult(ResultTree, Generic[T]):
    """The result of one call. `get()` blocks, `await result` does not; neither owns the task.

    `AsyncResult(id)` reads the default app; inside a program with several apps use `app.AsyncResult(id)`.
    """

    TimeoutError = TimeoutError
    """For `except result.TimeoutError`."""

    # Waiting.

    def get(
        self,
        timeout: Seconds | None = None,
        propagate: bool = True,
        interval: Seconds = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], Any] | None = None,
        on_message: Any = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
        EXCEPTION_STATES: Any = states.EXCEPTION_STATES,  # noqa: N803 - Celery's name
        PROPAGATE_STATES: Any = states.PROPAGATE_STATES,  # noqa: N803 - Celery's name
    ) -> T:
        """Wait for the value and return it, or raise what the task raised. Celery's signature.

        The store wakes the caller; `interval` only says how often `on_interval` is called.
        """
        self._refuse_to_wait(disable_sync_subtasks)
        watched = self._watched(propagate and follow_parents)
        if self._meta is None:
            limit = None if timeout is None else seconds(timeout)
            self._wait(watched, limit, None if on_interval is None else seconds(interval), on_interval)
        return self._finish(propagate, callback)

    wait = get

    def _refuse_to_wait(self, disable_sync_subtasks: bool) -> None:
        self._refuse_ignored()
        if running_loop() is not None:
            raise RuntimeError("get() would stop this thread's event loop: use `await result`")
        if disable_sync_subtasks:
            assert_will_not_block()

    def _refuse_ignored(self) -> None:
        if self._ignored:
            raise ResultIgnored(f"{self} keeps no result (ignore_result): waiting for it would take for ever")

    def _watched(self, follow_parents: bool) -> "list[AsyncResult[Any]]":
        """This result, behind the chain's earlier steps: when one of those fails, this one never comes."""
        chain: list[AsyncResult[Any]] = [self]
        above = self._parent
        while follow_parents and isinstance(above, AsyncResult):
            chain.insert(0, above)
            above = above._parent
        return chain

    def _wait(
        self,
        watched: "list[AsyncResult[Any]]",
        timeout: float | None,
        interval: float | None,
        on_interval: Callable[[], Any] | None,
    ) -> None:
        patience = Patience(self._client.clock, timeout)
        backend = self._client.backend()
        while True:
            meta = _take(watched, backend.wait(_awaited(watched), patience.next_wait(interval)))
            if self.ready_known():
                return
            if on_interval is not None:
                on_interval()
            if patience.exhausted():
                raise TimeoutError(f"no result of {self} within {timeout:g} s ({meta.status})")
            if patience.explanation_due():
                found = self._client.explain(self._awaited())
                log.warning("%s", still_waiting(str(self), meta.status, found))

    def _awaited(self) -> Awaited:
        return Awaited(self.id, self.task_name, self._queue or None)

    def _finish(self, propagate: bool, callback: Callable[[str, Any], Any] | None) -> T:
        meta = cast(ResultMeta, self._meta)
        value = shown(meta)
        if propagate and meta.status in states.PROPAGATE_STATES:
            raise value
        if callback is not None:
            callback(self.id, value)
        return cast(T, value)

    def __await__(self) -> Generator[Any, Any, T]:
        return self._await().__await__()

    async def _await(self) -> T:
        async for _ in self:
            pass
        return self._finish(True, None)

    async def aget(self, timeout: Seconds | None = None, propagate: bool = True) -> T:
        """`await result` with a limit; cancelling the waiter never cancels the task."""
        import asyncio  # a coroutine runs, so it is loaded already; declaring tasks must not load it

        limit = None if timeout is None else seconds(timeout)
        try:
            async with asyncio.timeout(limit):
                async for _ in self:
                    pass
        except builtins.TimeoutError:
            raise TimeoutError(f"no result of {self} within {limit:g} s") from None
        return self._finish(propagate, None)

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """Each state the task passes through while it is not done; ends with the task."""
        self._refuse_ignored()
        patience = Patience(self._client.clock, None)
        backend = self._client.backend_of_loop()
        watched = self._watched(True)
        seen: tuple[str, Any] = (states.PENDING, None)
        while not self.ready_known():
            records = await backend.wait(_awaited(watched), patience.next_wait(None))
            meta = _take(watched, records)
            if not self.ready_known() and (meta.status, meta.result) != seen:
                seen = (meta.status, meta.result)
                yield Progress(meta.status, shown(meta))
            if patience.explanation_due():
                found = await self._client.aexplain(self._awaited())
                log.warning("%s", still_waiting(str(self), meta.status, found))

    # What one may do to a task.

    def forget(self) -> None:
        """Remove the result from the store."""
        self._meta = None
        self._client.backend().forget([self.id])

    async def aforget(self) -> None:
        self._meta = None
        await self._client.backend_of_loop().forget([self.id])

    def revoke(
        self, terminate: bool = False, signal: str | None = None, connection: Any = None, **options: Any
    ) -> bool:
        """End a task that has not begun: REVOKED is stored, and whoever claims its message later does not run it.

        A run that begins in the same moment, or has begun, goes on, and its outcome is dropped; `terminate` ends it.
        False: it had ended, or was known to have begun, already.
        """
        done = self.end_unbegun()
        revoking.tell(self._client, (self.id,), terminate, signal)
        return done

    async def arevoke(
        self, terminate: bool = False, signal: str | None = None, connection: Any = None, **options: Any
    ) -> bool:
        done = await self.aend_unbegun()
        await revoking.atell(self._client, (self.id,), terminate, signal)
        return done

    def end_unbegun(self) -> bool:
        """Store REVOKED; nodes are not told."""
        record = self._revocation(self._look())
        return record is not None and self._client.backend().store((record,))[0]

    async def aend_unbegun(self) -> bool:
        record = self._revocation(await self._alook())
        return record is not None and (await self._client.backend_of_loop().store((record,)))[0]

    def _revocation(self, meta: ResultMeta) -> Record | None:
        if meta.status in states.READY_STATES or meta.status == states.STARTED:
            return None
        error = ErrorInfo(type="TaskRevokedError", module="leveret.errors", args=("revoked",), text="revoked")
        return Record(
            id=TaskId(self.id),
            attempt=self._attempt,
            state=states.REVOKED,
            terminal=True,
            meta=write_meta(
                self._client.codec,
                id=self.id,
                status=states.REVOKED,
                error=error,
                date_done=self._client.clock.now(),
                revoked_by=revoking.author(),
            ),
            expires_after=self._client.options.result_expires,
        )

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """Raise what the task raised, if it has; else answer what is known now."""
        meta = self._look()
        return self._finish(propagate, callback) if self._meta is not None else shown(meta)

    maybe_reraise = maybe_throw

    def __eq__(self, other: object) -> bool:
        return other == self.id if isinstance(other, str) else isinstance(other, AsyncResult) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return f"{self.task_name}[{self.id}]" if self.task_name else self.id

    def __repr__(self) -> str:
        return f"<AsyncResult: {self.id}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return AsyncResult, (self.id, None, self.task_name)


def _awaited(watched: list[AsyncResult[Any]]) -> list[str]:
    """The result itself, first, and the earliest step of its chain that has not ended."""
    last = watched[-1]
    return [last.id] if watched[0] is last else [last.id, watched[0].id]


def _take(watched: list[AsyncResult[Any]], records: Sequence[Record | None]) -> ResultMeta:
    """Note what came; raises what an earlier step of the chain raised."""
    meta = watched[-1].keep(records[0])
    if len(records) > 1:
        earlier = watched[0]
        if earlier.keep(records[1]).status in states.PROPAGATE_STATES and not watched[-1].ready_known():
            earlier.maybe_throw()
        if earlier.ready_known():
            del watched[0]
    return meta
