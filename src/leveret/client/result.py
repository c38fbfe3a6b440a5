"""Handles on results that may not exist yet."""

import builtins
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar, cast

from leveret.client.client import Client
from leveret.client.current import default_app
from leveret.client.loops import running_loop
from leveret.client.waiting import PATIENCE_SECONDS, WaitFacts, explain
from leveret.errors import RemoteError, ResultIgnored, TaskRevokedError, TimeoutError
from leveret.logic.results import ResultMeta, read_meta, rebuild, write_meta
from leveret.model import state as states
from leveret.model.message import TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.request import CURRENT
from leveret.model.settlement import Record
from leveret.ports.clock import Clock

T = TypeVar("T")

log = logging.getLogger("leveret.client")

JOIN_REFUSED = """\
Never call result.get() within a task!
A task that waits for another holds a slot, and when every slot waits nothing runs any more.
Let the other task follow (link=, chain), await the result in an `async def` task, or wrap the call in
`with allow_join_result():` when you know that it cannot block.
"""

_joins_allowed: ContextVar[bool] = ContextVar("leveret_joins_allowed", default=False)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Permit `get()` inside a task for a while."""
    token = _joins_allowed.set(True)
    try:
        yield
    finally:
        _joins_allowed.reset(token)


def assert_will_not_block() -> None:
    """Refuse to wait inside a task, as Celery does."""
    request = CURRENT.get()
    if request is not None and not request.is_eager and not _joins_allowed.get():
        raise RuntimeError(JOIN_REFUSED)


class Progress(NamedTuple):
    """One state a task passed through before its end: `update_state`'s state and meta."""

    state: str
    info: Any


class AsyncResult(Generic[T]):
    """The result of one call. `get()` blocks, `await result` does not; neither owns the task.

    `AsyncResult(id)` reads the default app; inside a program with several apps use `app.AsyncResult(id)`.
    """

    __slots__ = ("__weakref__", "_client", "_ignored", "_meta", "_parent", "_queue", "id", "task_name")

    def __init__(
        self,
        id: str,
        backend: Any = None,
        task_name: str | None = None,
        app: Any = None,
        parent: "AsyncResult[Any] | None" = None,
    ) -> None:
        """Take Celery's arguments; `backend` is the app's own."""
        self.id = id
        self.task_name = task_name
        self._client: Client = (default_app() if app is None else app).client
        self._parent = parent
        self._ignored = False
        self._queue: str | None = None
        self._meta: ResultMeta | None = None

    @classmethod
    def sent(cls, client: Client, id: str, task_name: str, queue: str, *, ignored: bool) -> "AsyncResult[Any]":
        """The handle on a message this client has just published."""
        self = cls.__new__(cls)
        self.id = id
        self.task_name = task_name
        self._client = client
        self._parent = None
        self._ignored = ignored
        self._queue = queue
        self._meta = None
        return self

    # What is known now: one look at the store, none once the task has ended.

    def _look(self) -> ResultMeta:
        if self._meta is None:
            return self._keep(self._client.backend().get([self.id])[0])
        return self._meta

    async def _alook(self) -> ResultMeta:
        if self._meta is None:
            return self._keep((await self._client.backend_of_loop().get([self.id]))[0])
        return self._meta

    def _keep(self, record: Record | None) -> ResultMeta:
        if record is None or record.tombstone:
            return ResultMeta(task_id=self.id, status=states.PENDING)
        meta = read_meta(record, self._client.codec)
        if record.terminal:
            self._meta = meta
        return meta

    @property
    def task_id(self) -> str:
        return self.id

    @property
    def state(self) -> str:
        return self._look().status

    @property
    def status(self) -> str:
        return self._look().status

    @property
    def result(self) -> Any:
        """The value, the exception (as an instance), or what `update_state` last said; None while pending."""
        return _shown(self._look())

    @property
    def info(self) -> Any:
        return _shown(self._look())

    @property
    def traceback(self) -> str | None:
        return self._look().traceback

    @property
    def date_done(self) -> datetime | None:
        return self._look().date_done

    @property
    def retries(self) -> int | None:
        return self._look().retries

    @property
    def name(self) -> str | None:
        return self.task_name or self._look().name

    @property
    def args(self) -> Any:
        return self._look().args

    @property
    def kwargs(self) -> Any:
        return self._look().kwargs

    @property
    def worker(self) -> str | None:
        return self._look().worker

    @property
    def queue(self) -> str | None:
        return self._queue or self._look().queue

    @property
    def ignored(self) -> bool:
        return self._ignored

    @property
    def children(self) -> "list[AsyncResult[Any]] | None":
        """The calls the task made itself, once it has ended."""
        meta = self._look()
        return [self._relative(child[0][0]) for child in meta.children or ()] if self._meta is not None else None

    @property
    def parent(self) -> "AsyncResult[Any] | None":
        """The step before this one in a chain, or the task that sent this one."""
        if self._parent is None:
            above = self._look().parent_id
            return None if above is None else self._relative(above)
        return self._parent

    def follow(self, parent: "AsyncResult[Any]") -> None:
        """Stand behind `parent` in a chain."""
        self._parent = parent

    @property
    def clock(self) -> Clock:
        return self._client.clock

    def _relative(self, id: str) -> "AsyncResult[Any]":
        return AsyncResult.sent(self._client, id, "", "", ignored=False)

    def ready(self) -> bool:
        return self._look().status in states.READY_STATES

    def successful(self) -> bool:
        return self._look().status == states.SUCCESS

    def failed(self) -> bool:
        return self._look().status == states.FAILURE

    def exists(self) -> bool:
        """Whether the store knows anything of the task; a task that has not begun is unknown to it."""
        return self._meta is not None or self._client.backend().get([self.id])[0] is not None

    async def astate(self) -> str:
        return (await self._alook()).status

    async def ainfo(self) -> Any:
        return _shown(await self._alook())

    async def aready(self) -> bool:
        return (await self._alook()).status in states.READY_STATES

    # Waiting.

    def get(
        self,
        timeout: float | None = None,
        propagate: bool = True,
        interval: float = 0.5,
        no_ack: bool = True,
        follow_parents: bool = True,
        callback: Callable[[str, Any], Any] | None = None,
        on_message: Any = None,
        on_interval: Callable[[], Any] | None = None,
        disable_sync_subtasks: bool = True,
        EXCEPTION_STATES: Any = states.EXCEPTION_STATES,
        PROPAGATE_STATES: Any = states.PROPAGATE_STATES,
    ) -> T:
        """Wait for the value and return it, or raise what the task raised. Celery's signature.

        The store wakes the caller; `interval` only says how often `on_interval` is called.
        """
        self._refuse_to_wait(disable_sync_subtasks)
        self._wait(timeout, interval if on_interval is not None else None, on_interval)
        return self._finish(propagate, callback)

    wait = get

    def _refuse_to_wait(self, disable_sync_subtasks: bool) -> None:
        if self._ignored:
            raise ResultIgnored(f"{self} keeps no result (ignore_result): get() would wait for ever")
        if running_loop() is not None:
            raise RuntimeError("get() would stop this thread's event loop: use `await result`")
        if disable_sync_subtasks:
            assert_will_not_block()

    def _wait(self, timeout: float | None, interval: float | None, on_interval: Callable[[], Any] | None) -> None:
        if self._meta is not None:
            return
        patience = _Patience(self._client, timeout)
        backend = self._client.backend()
        while True:
            for_seconds = patience.next_wait(interval)
            meta = self._keep(backend.wait([self.id], for_seconds)[0])
            if self._meta is not None:
                return
            if on_interval is not None:
                on_interval()
            if patience.exhausted():
                raise TimeoutError(f"no result of {self} within {timeout:g} s ({meta.status})")
            if patience.explanation_due():
                log.warning("%s", explain(str(self), meta.status, self._facts()))

    def _facts(self) -> WaitFacts | None:
        return self._client.facts(self.id, self._queue or None)

    def _finish(self, propagate: bool, callback: Callable[[str, Any], Any] | None) -> T:
        meta = cast(ResultMeta, self._meta)
        value = _shown(meta)
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

    async def aget(self, timeout: float | None = None, propagate: bool = True) -> T:
        """`await result` with a limit; cancelling the waiter never cancels the task."""
        import asyncio  # noqa: PLC0415 - a coroutine runs, so it is loaded; `import leveret` must not load it

        try:
            async with asyncio.timeout(timeout):
                async for _ in self:
                    pass
        except builtins.TimeoutError:
            raise TimeoutError(f"no result of {self} within {timeout:g} s") from None
        return self._finish(propagate, None)

    async def __aiter__(self) -> AsyncIterator[Progress]:
        """Each state the task passes through while it is not done; ends with the task."""
        if self._ignored:
            raise ResultIgnored(f"{self} keeps no result (ignore_result): waiting for it would take for ever")
        patience = _Patience(self._client, None)
        backend = self._client.backend_of_loop()
        seen: tuple[str, Any] = (states.PENDING, None)
        while self._meta is None:
            record = (await backend.wait([self.id], patience.next_wait(None)))[0]
            meta = self._keep(record)
            if self._meta is None and (meta.status, meta.result) != seen:
                seen = (meta.status, meta.result)
                yield Progress(meta.status, _shown(meta))
            if patience.explanation_due():
                log.warning("%s", explain(str(self), meta.status, None))

    # What one may do to a task.

    def forget(self) -> None:
        """Remove the result from the store."""
        self._meta = None
        self._client.backend().forget([self.id])

    async def aforget(self) -> None:
        self._meta = None
        await self._client.backend_of_loop().forget([self.id])

    def revoke(self, terminate: bool = False, signal: str | None = None) -> bool:
        """End a task that has not begun: REVOKED is stored, and whatever still runs of it is not recorded.

        A worker that claims its message for the first time does not look for a stored outcome, so its function may
        still be called; the answer is then dropped. False: it had begun or ended already.
        """
        record = self._revocation(self._look())
        return record is not None and self._client.backend().store((record,))[0]

    async def arevoke(self, terminate: bool = False, signal: str | None = None) -> bool:
        record = self._revocation(await self._alook())
        return record is not None and (await self._client.backend_of_loop().store((record,)))[0]

    def _revocation(self, meta: ResultMeta) -> Record | None:
        if meta.status in states.READY_STATES or meta.status == states.STARTED:
            return None
        attempt = meta.retries or 0
        error = ErrorInfo(type="TaskRevokedError", module="leveret.errors", args=("revoked",), text="revoked")
        return Record(
            id=TaskId(self.id),
            attempt=attempt,
            state=states.REVOKED,
            terminal=True,
            meta=write_meta(self._client.codec, id=self.id, status=states.REVOKED, error=error),
        )

    def as_tuple(self) -> tuple[Any, ...]:
        return ((self.id, None if self._parent is None else self._parent.as_tuple()), None)

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """Raise what the task raised, if it has; else answer what is known now."""
        meta = self._look()
        return self._finish(propagate, callback) if self._meta is not None else _shown(meta)

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


def _shown(meta: ResultMeta) -> Any:
    """What a document holds: the value, the exception as an instance, or `update_state`'s meta."""
    if meta.error is not None:
        return rebuild(meta.error)
    if meta.status == states.REVOKED:
        return TaskRevokedError(str(meta.result or "revoked"))
    if meta.status == states.FAILURE:
        return RemoteError("Exception", "builtins", str(meta.result))
    return meta.result


class _Patience:
    """How long one wait may last, and when its silence must be explained. Owned by the waiting call."""

    def __init__(self, client: Client, timeout: float | None) -> None:
        self._now = client.clock.monotonic
        started = self._now()
        self._deadline = None if timeout is None else started + timeout
        self._explain_at: float | None = started + PATIENCE_SECONDS

    def next_wait(self, interval: float | None) -> float:
        """Seconds the store may be waited for before something else is due."""
        now = self._now()
        ends = [moment - now for moment in (self._deadline, self._explain_at) if moment is not None]
        return max(0.0, min([*ends, _LONGEST_WAIT if interval is None else interval]))

    def exhausted(self) -> bool:
        return self._deadline is not None and self._now() >= self._deadline

    def explanation_due(self) -> bool:
        """True once."""
        if self._explain_at is None or self._now() < self._explain_at:
            return False
        self._explain_at = None
        return True


_LONGEST_WAIT = 60.0
