"""A command to nodes and a node's answer, in kombu's words (`kombu/pidbox.py`)."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

CALL_SECONDS = 1.0
"""How long answers are waited for unless told otherwise, as in Celery."""


class Parcel(Struct, frozen=True, kw_only=True):
    """What a mailbox carries, either way: a JSON body with a few headers."""

    body: bytes
    headers: Mapping[str, Any] = {}
    content_type: str = "application/json"


class Command(Struct, frozen=True, kw_only=True):
    """`destination` wins over `pattern`; with neither every node is meant. Moments are unix seconds."""

    method: str
    arguments: Mapping[str, Any] = {}
    destination: tuple[str, ...] | None = None
    pattern: str | None = None
    matcher: str | None = None
    """How `pattern` is read: `glob` or `pcre`."""
    ticket: str = ""
    """Answers carry it; empty: nobody waits for one."""
    reply_to: str = ""
    """The routing key of whoever asks."""
    expires: float = 0.0
    """0: never."""
    clock: int = 0
    """The sender's Lamport clock."""


class Answer(Struct, frozen=True, kw_only=True):
    """What one node said."""

    node: str
    value: Any
    ticket: str = ""
    clock: int = 0
