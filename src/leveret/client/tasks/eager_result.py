"""The result of a task that ran here and now: the face of `AsyncResult`, with the value at hand."""

from collections.abc import Callable, Generator
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, cast

from leveret.client.options import Seconds
from leveret.model import state as states

T = TypeVar("T")


class EagerResult(Generic[T]):
    """What `apply()` answers, and every call under `task_always_eager`."""

    def __init__(
        self, id: str | None, ret_value: Any, state: str, traceback: str | None = None, name: str | None = None
    ) -> None:
        self.id = id
        self.task_name = self.name = name
        self._state = state
        self._value = ret_value
        self._traceback = traceback
        self.date_done = datetime.now(UTC)
        self.parent = None
        self.children: list[Any] = []
        self.queue = None
        self.supports_native_join = False

    @property
    def task_id(self) -> str | None:
        return self.id

    @property
    def state(self) -> str:
        return self._state

    status = state

    @property
    def result(self) -> Any:
        return self._value

    info = result

    @property
    def traceback(self) -> str | None:
        return self._traceback

    @property
    def retries(self) -> int | None:
        return None

    def get(
        self,
        timeout: Seconds | None = None,
        propagate: bool = True,
        disable_sync_subtasks: bool = True,
        callback: Callable[[Any, Any], Any] | None = None,
        **ignored: Any,
    ) -> T:
        """The value, or what the task raised; never waits."""
        if propagate and self._state in states.PROPAGATE_STATES:
            raise self._value if isinstance(self._value, BaseException) else Exception(self._value)
        if callback is not None:
            callback(self.id, self._value)
        return cast(T, self._value)

    wait = get

    async def _await(self) -> T:
        return self.get()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._await().__await__()

    async def aget(self, timeout: Seconds | None = None, propagate: bool = True) -> T:
        return self.get(timeout, propagate)

    async def astate(self) -> str:
        return self._state

    async def ainfo(self) -> Any:
        return self._value

    async def asuccessful(self) -> bool:
        return self.successful()

    async def aready(self) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def exists(self) -> bool:
        return True

    def successful(self) -> bool:
        return self._state == states.SUCCESS

    def failed(self) -> bool:
        return self._state == states.FAILURE

    def maybe_throw(self, propagate: bool = True, callback: Callable[[Any, Any], Any] | None = None) -> Any:
        return self.get(propagate=propagate, callback=callback)

    def forget(self) -> None:
        """There is nothing to forget."""

    async def aforget(self) -> None:
        """There is nothing to forget."""

    def revoke(self, *args: Any, **kwargs: Any) -> bool:
        """It has run already."""
        return False

    async def arevoke(self, *args: Any, **kwargs: Any) -> bool:
        return False

    def as_tuple(self) -> tuple[Any, ...]:
        return ((self.id, None), None)

    def __repr__(self) -> str:
        return f"<EagerResult: {self.id}>"
