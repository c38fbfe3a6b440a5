"""What a connection hears: bytes in, these out."""

from typing import Any

from msgspec import Struct


class Delivered(Struct, frozen=True, gc=False):
    """A message pushed to a consumer. `properties` is the header frame's payload behind the body size, not read yet."""

    channel: int
    consumer: str
    tag: int
    redelivered: bool
    exchange: str
    routing_key: str
    properties: bytes
    body: bytes


class Got(Struct, frozen=True, gc=False):
    """Answer to basic.get; None where the queue was empty."""

    channel: int
    message: Delivered | None


class Confirmed(Struct, frozen=True, gc=False):
    """The broker took (or refused) what was published under `tag`, with `multiple` all up to it."""

    channel: int
    tag: int
    multiple: bool
    accepted: bool


class Returned(Struct, frozen=True, gc=False):
    """A mandatory message reached no queue; its confirm follows."""

    channel: int
    code: int
    text: str
    exchange: str
    routing_key: str
    properties: bytes
    body: bytes


class Answered(Struct, frozen=True):
    """The reply to a synchronous method, or any other method (`basic.cancel`), as pamqp's frame object."""

    channel: int
    frame: Any


class Opened(Struct, frozen=True):
    """The handshake is over."""


class ChannelLost(Struct, frozen=True):
    """The broker closed a channel."""

    channel: int
    code: int
    text: str


class Blocked(Struct, frozen=True):
    """The broker reads nothing that is published on this connection: it is short of memory or disk."""

    reason: str


class Unblocked(Struct, frozen=True):
    pass


class Closed(Struct, frozen=True):
    """The broker ended the connection."""

    code: int
    text: str


Event = Delivered | Got | Confirmed | Returned | Answered | Opened | ChannelLost | Blocked | Unblocked | Closed
