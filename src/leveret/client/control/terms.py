"""What remote control's faces have in common: options, answers, and who carries them."""

import warnings
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple, Protocol, TypedDict, TypeVar, Unpack

from leveret.client.control.calling import Caller
from leveret.client.schedules.face import blocking
from leveret.errors import LeveretWarning
from leveret.ports.limiting.pauses import Pauses

T = TypeVar("T")

Replies = list[dict[str, Any]]
"""`[{node: answer}, ...]`."""


class DuplicateNodename(LeveretWarning):
    """Two nodes of one name answered."""


class Known(NamedTuple):
    queues: frozenset[str]
    tasks: frozenset[str]


class Steering(Protocol):
    """What wiring makes of an app's settings."""

    caller: Caller

    async def revoke(self, marks: Sequence[str]) -> bool:
        """Write them where a claim looks; False where nothing remembers them but the nodes themselves."""
        ...

    def pauses(self) -> AbstractAsyncContextManager[Pauses]:
        """Where it is kept what is paused. Raises `ImproperlyConfigured` where nothing would remember it."""
        ...

    async def known(self) -> Known:
        """Queues and tasks that settings, broker and nodes name."""
        ...


class App(Protocol):
    @property
    def conf(self) -> Any: ...
    @property
    def tasks(self) -> Any: ...


class BroadcastOptions(TypedDict, total=False):
    """`destination`: names of nodes; `pattern` with `matcher` ("glob" or "pcre") instead. `timeout` in seconds."""

    destination: Iterable[str] | None
    reply: bool
    timeout: float | None
    limit: int | None
    callback: Callable[[dict[str, Any]], Any] | None
    pattern: str | None
    matcher: str | None
    connection: Any
    channel: Any


class Asks(Protocol):
    """Whoever sends commands."""

    async def abroadcast(
        self, command: str, arguments: Mapping[str, Any] | None = None, **options: Unpack[BroadcastOptions]
    ) -> Replies | None: ...


class Sender(Asks):
    """The base of the halves of `Control`."""

    @staticmethod
    def _now(work: Coroutine[Any, Any, T], twin: str) -> T:
        return blocking(work, f"await app.control.{twin}(...)")


def names_of(given: str | Collection[str]) -> list[str]:
    return [given] if isinstance(given, str) else [str(name) for name in given]


def flatten_reply(replies: Replies) -> dict[str, Any]:
    """By node; a name that answered twice is warned of."""
    nodes: dict[str, Any] = {}
    for reply in replies:
        for name, value in reply.items():
            if name in nodes:
                warnings.warn(
                    f"two nodes named {name} answered: give each its own name (-n)", DuplicateNodename, stacklevel=3
                )
            nodes[name] = value
    return nodes
