"""Sending unique tasks: the key first, then the message, then the word that it is out.

Decided here without I/O (`Asking`), carried out by `sending` on the caller's thread and on its loop.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from leveret.client.client import Client
from leveret.errors import ImproperlyConfigured, TaskAlreadySent
from leveret.logic.limiting.bounds import unique_key
from leveret.model.limiting.declared import Unique
from leveret.model.limiting.gate import Grant, Wish
from leveret.model.message import UNIQUE, Message
from leveret.model.task import TaskDefinition

MARGIN_SECONDS = 5.0
"""How much longer than a publish may take a key is pending: what a paused sender has left to say that it was sent."""
FIRST_WAIT, LONGEST_WAIT = 0.002, 0.1
"""Seconds between two questions about a key whose message another sender is just sending."""


@dataclass(frozen=True, slots=True)
class Call:
    message: Message
    unique: Unique | None = None


def marked(message: Message, definition: TaskDefinition | None) -> Call:
    """The message under its unique key, where it is a unique task's. Raises `ImproperlyConfigured` when the task's key
    function does."""
    if definition is None or definition.unique is None:
        return Call(message)
    key = unique_key(definition, message.args, message.kwargs)
    return Call(replace(message, settings={**message.settings, UNIQUE: key}), definition.unique)


@dataclass(slots=True)
class Asking:
    """One publish of some calls of which some are unique."""

    calls: Sequence[Call]
    now: float
    """The client's clock, against which the calls' moments are."""
    kept: dict[str, str] = field(default_factory=dict)
    """Of calls that are not to be sent: whose result is theirs."""
    _open: dict[str, Wish] = field(default_factory=dict)
    """By message id: nobody has answered for good."""
    _won: dict[str, Wish] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._wish_once()

    def _wish_once(self) -> None:
        """Calls of one key in the same publish would wait for one another: one of them asks."""
        first: dict[str, str] = {}
        for call in self.calls:
            if call.unique is None:
                continue
            key, own = str(call.message.settings[UNIQUE]), call.message.id
            before = first.get(key)
            if before is not None and call.unique.conflict == "raise":
                raise TaskAlreadySent(call.message.task, key, before)
            if before is not None and call.unique.conflict == "keep":
                self.kept[own] = before
                continue
            if before is not None:
                del self._open[before]
                self.kept[before] = own
            first[key] = own
            self._open[own] = self._wish(call.message, call.unique, key)

    def _wish(self, message: Message, unique: Unique, key: str) -> Wish:
        # Time in which it is not to run is none in which it is late.
        later = 0.0 if message.not_before is None else max(0.0, message.not_before - self.now)
        return Wish(key=key, id=message.id, seconds=unique.seconds + later, replace=unique.conflict == "replace")

    def wishes(self) -> tuple[Wish, ...]:
        """What to ask for; empty: all is known."""
        return tuple(self._open.values())

    def heard(self, wishes: tuple[Wish, ...], grants: Iterable[Grant]) -> None:
        for wish, grant in zip(wishes, grants, strict=True):
            if grant.won:
                self._won[wish.id] = self._open.pop(wish.id)
            elif not grant.pending:
                del self._open[wish.id]
                self.kept[wish.id] = grant.id

    def refused(self) -> TaskAlreadySent | None:
        """Why nothing of it is sent."""
        for call in self.calls:
            by = self.kept.get(call.message.id)
            if by is not None and call.unique is not None and call.unique.conflict == "raise":
                return TaskAlreadySent(call.message.task, str(call.message.settings[UNIQUE]), by)
        return None

    def won(self) -> tuple[Wish, ...]:
        """Those that have their key."""
        return tuple(self._won.values())

    def to_send(self) -> list[Message]:
        return [call.message for call in self.calls if call.message.id not in self.kept]

    def result_ids(self) -> Mapping[str, str]:
        """Of calls that were not sent: the id that has their key, at the end of however many in this publish."""
        return {own: self._last(by) for own, by in self.kept.items()}

    def _last(self, by: str) -> str:
        while by in self.kept:
            by = self.kept[by]
        return by


def pending_seconds(client: Client, timeout: float | None) -> float:
    """How long a key stays pending."""
    return (client.options.publish_timeout if timeout is None else timeout) + MARGIN_SECONDS


def no_keys(calls: Sequence[Call], where: str) -> ImproperlyConfigured:
    """Nobody can say whether such a call was sent."""
    task = next(call.message.task for call in calls if call.unique is not None)
    return ImproperlyConfigured(
        f"{task} is unique (unique_for=...), which needs a store that keeps limits, and {where or 'this broker'} "
        'is none: set result_backend to one that does ("redis://...", "sqlite:///..."), or leave unique_for out'
    )
