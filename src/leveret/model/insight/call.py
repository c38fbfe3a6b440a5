"""What is known of one call when somebody asks why it does not run, or what became of it; and the answer.

Moments are unix seconds; what is not known is None, or empty.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from leveret.model.delivery import Whereabouts
from leveret.model.limiting.gate import Reason


class Stored(Struct, frozen=True, kw_only=True):
    """What the result store holds of its latest attempt."""

    state: str
    attempt: int = 0
    terminal: bool = False
    tombstone: bool = False
    """Kept without a value: nobody wanted the result."""
    at: float | None = None
    """When it ended."""
    not_before: float | None = None
    """Of a RETRY: when the next attempt may start."""
    error: str = ""
    """`ValueError: no good`, of what failed, is tried again, or was revoked."""
    name: str = ""
    worker: str = ""
    seconds: float | None = None
    """How long it ran."""
    max_retries: int | None = None
    revoked_by: str = ""
    replaced_by: str = ""
    """The task that took its place (`self.replace`)."""


class Held(Struct, frozen=True, kw_only=True):
    """What a node says of a message it has."""

    node: str
    active: bool = False
    """It runs; else its process has claimed it and not begun."""
    since: float | None = None
    pid: int | None = None


class Revoked(Struct, frozen=True, kw_only=True):
    """Who revoked it, and by what."""

    kind: str
    """`id`, `group` or `stamp`."""
    name: str
    by: str = ""
    at: float | None = None


class Paused(Struct, frozen=True, kw_only=True):
    """By order of somebody its queue, or its task type, does not start anything."""

    kind: str
    """`queue` or `task`."""
    name: str
    since: float
    by: str = ""


class Before(Struct, frozen=True, kw_only=True):
    """What has to end before it is sent at all."""

    id: str
    size: int = 0
    """Members, of a group; 0: one task."""
    done: int = 0
    failed: tuple[str, ...] = ()
    state: str = ""
    label: str = ""
    """Of one task."""


class CallFacts(Struct, frozen=True, kw_only=True):
    id: str
    now: float
    task: str = ""
    address: str = ""
    """Of the broker."""
    broken: str = ""
    """Why broker or store could not be asked: then nothing below is known."""
    stored: Stored | None = None
    place: Whereabouts | None = None
    held: Held | None = None
    silent: str = ""
    """The node that has it, where it did not answer."""
    queue: str = ""
    waiting: int | None = None
    """Ready messages in its queue."""
    consumers: tuple[str, ...] | None = None
    """Nodes that consume its queue."""
    tasks: frozenset[str] = frozenset()
    """What the consumers of its queue can run; empty where they do not say."""
    reason: Reason | None = None
    """The limit it waits for."""
    pauses: tuple[Paused, ...] = ()
    """Of its queue, and of its task type."""
    revoked: Revoked | None = None
    before: Before | None = None
    made: float | None = None
    """When it was sent, where its id tells."""
    keeps: float | None = None
    """Seconds for which results are kept."""
    stores: bool = True
    """False: results are turned off, or are messages to the sender."""
    ignored: bool = False
    """Whether its sender said that nobody wants the result."""
    looked_through: int = 0
    """Ready messages that were looked through for it."""
    sees: bool = True
    """False: this broker does not show what is delayed or claimed."""


class Explanation(Struct, frozen=True, kw_only=True):
    """Why it does not run, or what happened to it."""

    code: str
    """For programs; `logic.insight.codes` names them all."""
    text: str
    """One sentence, without a full stop."""
    also: tuple[str, ...] = ()
    """Further reasons that would hold it up too, and what to do."""
    facts: Mapping[str, Any] = {}
    """For programs: until, since, ahead, attempt, node, queue, key ..."""

    def __str__(self) -> str:
        return "; ".join((self.text, *self.also))
