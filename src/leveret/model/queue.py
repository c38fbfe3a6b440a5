"""Queues, exchanges and bindings, in kombu's words and with kombu's defaults (`kombu/entity.py`)."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from leveret.errors import ImproperlyConfigured

_Arguments = Mapping[str, Any] | None
_KINDS = ("direct", "topic", "fanout", "headers")
_OF_EXCHANGE = ("durable", "auto_delete", "delivery_mode", "arguments", "passive", "no_declare")
_OF_QUEUE = (
    "queue_arguments", "binding_arguments", "consumer_arguments", "durable", "exclusive", "auto_delete", "no_ack",
    "alias", "no_declare", "expires", "message_ttl", "max_length", "max_length_bytes", "max_priority",
)  # fmt: skip
_BY_CHANCE = re.compile(r"\.?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A named place messages are published to; queues are bound to it."""

    name: str = ""
    type: str = "direct"
    _: KW_ONLY
    durable: bool = True
    auto_delete: bool = False
    delivery_mode: int | str | None = None
    arguments: _Arguments = field(default=None, hash=False)
    passive: bool = False
    no_declare: bool = False

    def __post_init__(self) -> None:
        if self.type not in _KINDS and not self.type.startswith("x-"):
            raise ImproperlyConfigured(f"exchange {self.name!r}: type {self.type!r} is none of {', '.join(_KINDS)}")


def as_exchange(value: Any) -> Exchange:
    """Kombu's own objects are taken too: people paste their settings."""
    if isinstance(value, Exchange):
        return value
    if value is None or isinstance(value, str):
        return Exchange(value or "")
    if hasattr(value, "name") and hasattr(value, "type"):
        said = {name: getattr(value, name) for name in _OF_EXCHANGE if getattr(value, name, None) is not None}
        return Exchange(value.name or "", value.type or "direct", **said)
    raise ImproperlyConfigured(f"expected an Exchange or its name, got {value!r}")


@dataclass(frozen=True, slots=True)
class binding:  # noqa: N801 - kombu's name
    """One more way from an exchange into a queue: `Queue("q", [binding(exchange, key), ...])`."""

    exchange: Exchange
    routing_key: str = ""
    arguments: _Arguments = field(default=None, hash=False)
    unbind_arguments: _Arguments = field(default=None, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "exchange", as_exchange(self.exchange))


@dataclass(frozen=True)
class Queue:
    """Where messages wait. `exchange` is an Exchange, its name, or a list of bindings."""

    name: str = ""
    exchange: Any = None
    routing_key: str = ""
    _: KW_ONLY
    bindings: Sequence[binding] = ()
    queue_arguments: _Arguments = field(default=None, hash=False)
    binding_arguments: _Arguments = field(default=None, hash=False)
    consumer_arguments: _Arguments = field(default=None, hash=False)
    durable: bool = True
    exclusive: bool = False
    auto_delete: bool = False
    no_ack: bool = False
    alias: str | None = None
    no_declare: bool = False
    expires: float | None = None
    message_ttl: float | None = None
    max_length: int | None = None
    max_length_bytes: int | None = None
    max_priority: int | None = None
    on_declared: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        bindings = tuple(self.bindings)
        if isinstance(self.exchange, list | tuple | set | frozenset):
            bindings += tuple(self.exchange)
        _set(self, "bindings", tuple(_as_binding(item) for item in bindings))
        # As in kombu: a queue with bindings of its own has no exchange of its own.
        _set(self, "exchange", Exchange() if bindings else as_exchange(self.exchange))
        if self.exclusive:
            _set(self, "auto_delete", True)

    @property
    def bound(self) -> tuple[binding, ...]:
        """Every binding, the queue's own exchange and key among them."""
        if not self.exchange.name:
            return tuple(self.bindings)
        own = binding(self.exchange, self.routing_key or "", self.binding_arguments)
        return (*self.bindings, own)


def _set(target: object, name: str, value: Any) -> None:
    object.__setattr__(target, name, value)


def _as_binding(value: Any) -> binding:
    if isinstance(value, binding):
        return value
    return binding(as_exchange(value.exchange), value.routing_key or "", value.arguments)


class Broadcast(Queue):
    """A fanout exchange with a queue for every worker; each worker names its own with `for_worker`."""

    def __init__(self, name: str | None = None, queue: str | None = None, unique: bool = False, **options: Any) -> None:
        options.setdefault("auto_delete", True)
        exchange = options.pop("exchange", None) or Exchange(name or "", "fanout")
        super().__init__(queue or f"bcast.{name or ''}", exchange, alias=options.pop("alias", None) or name, **options)
        _set(self, "unique", unique or queue is None)

    unique: bool

    def for_worker(self, token: str) -> Queue:
        """The queue of one worker; `token` tells workers apart."""
        name = f"{self.name}.{token}" if self.unique else self.name
        return Queue(name, self.exchange, self.routing_key, auto_delete=self.auto_delete, alias=self.alias)


def as_queue(value: Any, name: str = "") -> Queue:
    """A Queue from what settings hold: a Queue (kombu's too), a name, or a dict of its options."""
    match value:
        case Queue():
            return value
        case str():
            return Queue(value)
        case Mapping():
            return _queue_from_dict(dict(value), name)
    if type(value).__name__ == "Broadcast":
        # Kombu's gives its queue a name by chance, another one in every process.
        name = _BY_CHANCE.sub("", value.name)
        own = None if name == "bcast" else name
        return Broadcast(value.alias, own, name != value.name, exchange=as_exchange(value.exchange))
    if hasattr(value, "name") and hasattr(value, "routing_key"):
        said = {name: getattr(value, name) for name in _OF_QUEUE if getattr(value, name, None) is not None}
        return Queue(
            value.name,
            None if value.exchange is None else as_exchange(value.exchange),
            value.routing_key or "",
            bindings=tuple(_as_binding(item) for item in getattr(value, "bindings", None) or ()),
            **said,
        )
    raise ImproperlyConfigured(f"{value!r} is no queue: expected a Queue, a name or a dict of its options")


def _queue_from_dict(options: dict[str, Any], name: str) -> Queue:
    key = options.pop("routing_key", None) or options.pop("binding_key", None) or name
    exchange = Exchange(options.pop("exchange", None) or "", options.pop("exchange_type", None) or "direct")
    options.pop("binding_key", None)
    try:
        return Queue(options.pop("name", None) or name, exchange, key, **options)
    except TypeError as error:
        raise ImproperlyConfigured(f"task_queues[{name!r}]: {error}") from error
