"""The running task's own view of its message: `task.request`, under Celery's names (`celery/app/task.py:Context`)."""

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from leveret.model.message import Message, tries

_UNSHOWN = frozenset({"message", "pending_retry", "lifespan", "added", "carried", "_redelivered"})
_NO_HEADERS: Mapping[str, Any] = MappingProxyType({})
_SHOWN = ("eta", "expires", "root_id", "parent_id", "group", "reply_to", "origin", "ignore_result", "headers")


class Request:
    """Owned by the run it belongs to; user code may add attributes, as with Celery."""

    carried: Mapping[str, Any] = _NO_HEADERS
    delivery_info: dict[str, Any]

    def __init__(
        self,
        message: Message,
        *,
        hostname: str = "",
        is_eager: bool = False,
        redelivered: bool = False,
        lifespan: Any = None,
    ) -> None:
        self.message = message
        self.id = message.id
        self.task = message.task
        self.args = message.args
        self.kwargs = message.kwargs
        self.retries = tries(message)
        self.hostname = hostname
        self.is_eager = is_eager
        self.called_directly = False
        self.lifespan = lifespan
        self.pending_retry: BaseException | None = None
        """Set by `self.retry(throw=False)`: the runner honours it when the function returns."""
        self.children: list[Any] = []
        self.added = 0
        """How many members this run has added to its chord."""
        self._redelivered = redelivered

    def __getattr__(self, name: str) -> Any:
        """Celery's remaining names, then the sender's own headers; absent ones are None as in Celery."""
        if name.startswith("__"):
            raise AttributeError(name)
        message: Message = self.__dict__["message"]
        match name:
            case "delivery_info":
                # Made when somebody asks: nearly nobody does.
                self.delivery_info = _delivery_info(message, redelivered=self._redelivered)
                return self.delivery_info
            case "eta":
                return _iso(message.not_before)
            case "expires":
                return _iso(message.expires)
            case "timelimit":
                return (message.time_limit, message.soft_time_limit)
            case "callbacks" | "errbacks" | "chain" | "chord":
                return getattr(message.embed, name)
            case "correlation_id":
                return message.id
        if name in message.__struct_fields__:
            return getattr(message, name)
        return message.headers.get(name)

    def get(self, key: str, default: Any = None) -> Any:
        value = getattr(self, key)
        return default if value is None else value

    def carry(self, headers: Mapping[str, Any]) -> None:
        """Send whatever follows this run with these headers: its next attempt, callbacks, error callbacks, the next
        step of a chain, the body of a chord. They win over headers of the same name. To be called before the run has
        ended, by the task, its middleware or a receiver of `task_prerun` ... `task_postrun`."""
        self.carried = {**self.carried, **headers}

    def __repr__(self) -> str:
        """What people print from a task that puzzles them."""
        shown = {name: value for name, value in vars(self).items() if name not in _UNSHOWN}
        shown["delivery_info"] = self.delivery_info
        more = {name: value for name in _SHOWN if (value := getattr(self, name)) is not None}
        return f"<Context: {shown | more!r}>"


def _delivery_info(message: Message, *, redelivered: bool) -> dict[str, Any]:
    return {
        "exchange": message.exchange,
        "routing_key": message.routing_key or message.queue,
        "priority": message.priority,
        "redelivered": redelivered,
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat()


CURRENT: ContextVar[Request | None] = ContextVar("leveret_current_request", default=None)
"""The request of the task that runs in this context, None outside of one."""
