"""What remote control changed of a node: its processes are told, and those it starts later begin with it."""

from collections.abc import Mapping

from msgspec import Struct

from leveret.model.delivery import Receipt


class Added(Struct, frozen=True, kw_only=True):
    """A queue that a node was told to consume; where the broker has exchanges, how it is bound."""

    name: str
    exchange: str = ""
    exchange_type: str = "direct"
    routing_key: str = ""


class Limit(Struct, frozen=True, kw_only=True):
    """Time limits of one task, instead of its own; seconds, None: none."""

    soft: float | None = None
    hard: float | None = None


class Steering(Struct, frozen=True, kw_only=True):
    queues: tuple[str, ...] | None = None
    """None: those it was started with."""
    added: tuple[Added, ...] = ()
    limits: Mapping[str, Limit] = {}
    rates: Mapping[str, str] = {}
    """Rate limits by task, instead of its own `rate_limit`; 0: none."""
    revoked: tuple[str, ...] = ()
    """Marks (`logic.remote.marks`) that were told lately: what was claimed before they were written does not begin."""


class Terminated(Struct, frozen=True, kw_only=True):
    """A run that was told to stop."""

    id: str
    attempt: int
    receipt: Receipt
