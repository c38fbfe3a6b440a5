"""One row of the settings table: a name, how far it works here, and what to know about it."""

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Mark(Enum):
    WORKS = "works"
    DIFFERS = "works differently"
    NOT_NEEDED = "not needed here"
    NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Row:
    """`note` says what it does, how it differs, why it is not needed or what will bring it; `default` is what
    reading it answers where Leveret does not honour it."""

    name: str
    mark: Mark
    note: str
    default: Any = None
    ours: bool = False

    @property
    def honoured(self) -> bool:
        return self.mark in (Mark.WORKS, Mark.DIFFERS)


def works(name: str, note: str) -> Row:
    return Row(name, Mark.WORKS, note)


def ours(name: str, note: str) -> Row:
    """A setting Celery does not have."""
    return Row(name, Mark.WORKS, note, None, True)


def differs(name: str, note: str) -> Row:
    return Row(name, Mark.DIFFERS, note)


def unneeded(name: str, note: str, default: Any = None) -> Row:
    return Row(name, Mark.NOT_NEEDED, note, default)


def later(name: str, note: str, default: Any = None) -> Row:
    return Row(name, Mark.NOT_YET, note, default)
