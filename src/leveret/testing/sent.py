"""What a program under test has sent, and whether that is what was expected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leveret.client.options import KNOWN, seconds
from leveret.model.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call: `at` is when (unix seconds), `message` all there is to know."""

    task: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    at: float
    message: Message

    def matches(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
        """Whether it has these positional arguments, keyword arguments and call options."""
        wanted = {name: value for name, value in options.items() if name not in KNOWN}
        return (
            tuple(self.args) == args
            and dict(self.kwargs) == wanted
            and all(self._has(name, value) for name, value in options.items() if name in KNOWN)
        )

    def _has(self, name: str, expected: Any) -> bool:
        read = _READERS.get(name)
        if read is None:
            raise TypeError(f"assert_sent cannot look at {name!r}; read .message of what sent() answers instead")
        return read(self, expected)

    def __str__(self) -> str:
        shown = [*map(repr, self.args), *(f"{key}={value!r}" for key, value in self.kwargs.items())]
        return f"{self.task}({', '.join(shown)}) to queue {self.message.queue!r}"


def _same(field: str) -> Callable[[Sent, Any], bool]:
    return lambda sent, expected: bool(getattr(sent.message, field) == expected)


def _after(field: str) -> Callable[[Sent, Any], bool]:
    def read(sent: Sent, expected: Any) -> bool:
        moment = getattr(sent.message, field)
        if moment is None or expected is None:
            return moment is expected
        if hasattr(expected, "timestamp"):
            return bool(abs(moment - expected.timestamp()) < 0.001)
        return bool(abs(moment - sent.at - seconds(expected)) < 0.001)

    return read


def _lasting(field: str) -> Callable[[Sent, Any], bool]:
    return lambda sent, expected: bool(getattr(sent.message, field) == (expected and seconds(expected)))


_READERS: Mapping[str, Callable[[Sent, Any], bool]] = {
    "queue": lambda sent, expected: bool(sent.message.queue == getattr(expected, "name", expected)),
    "task_id": _same("id"),
    "countdown": _after("not_before"),
    "eta": _after("not_before"),
    "expires": _after("expires"),
    "time_limit": _lasting("time_limit"),
    "soft_time_limit": _lasting("soft_time_limit"),
    "group_id": _same("group"),
    "headers": lambda sent, expected: dict(expected).items() <= dict(sent.message.headers).items(),
    **{
        name: _same(name)
        for name in (
            *("exchange", "routing_key", "priority", "serializer", "compression", "ignore_result", "shadow"),
            *("root_id", "parent_id", "group_index"),
        )
    },
}
