"""Verbs and the scripts they run. A verb is written once for both pumps: it yields commands, is sent their answers, and
returns. A `Refusal` it does not expect is raised; the pump, which knows the server's name, explains it.

Commands that are made one after the other, and cost something to make, may be yielded as an iterator: a pump that waits
anyway sends each while the next is made.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeVar

from leveret.links.redis.conversation import Command
from leveret.links.redis.refusals import Refusal

T = TypeVar("T")
_INCLUDE = "--#include"
Verb = Generator[Iterable[Command], list[Any], T]
Value = str | bytes | int
Call = tuple[list[str], list[Value]]
"""A script's keys and its other arguments."""


@dataclass(frozen=True, slots=True)
class Script:
    """A file in `scripts/`, with the files it includes; servers know it by its sha1."""

    source: str
    sha1: str

    def known(self, call: Call) -> Command:
        """Run it where the server has it."""
        keys, values = call
        return ("EVALSHA", self.sha1, len(keys), *keys, *values)

    def full(self, command: Command) -> Command:
        """The same with the source, for a server that answered NOSCRIPT (a new one, or restarted)."""
        return ("EVAL", self.source, *command[2:])


@cache
def script(name: str) -> Script:
    source = _read(name)
    return Script(source, sha1(source.encode()).hexdigest())


def _read(name: str) -> str:
    """A script's text; comments and indents need not travel."""
    text = (files(__package__) / "scripts" / f"{name}.lua").read_text(encoding="utf-8")
    lines = [_read(line.split()[1]) if line.startswith(_INCLUDE) else line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("--"))


def run(script: Script, calls: Iterable[Call]) -> Verb[list[Any]]:
    """Run a script for each call, all in one round trip where the server knows it."""
    if not calls:
        return []
    commands: list[Command] = []
    answers = yield _noted(map(script.known, calls), commands)
    missing = [place for place, answer in enumerate(answers) if type(answer) is Refusal and answer.code == "NOSCRIPT"]
    if missing:
        again = yield [script.full(commands[place]) for place in missing]
        for place, answer in zip(missing, again, strict=True):
            answers[place] = answer
    return [good(answer) for answer in answers]


def _noted(commands: Iterable[Command], notes: list[Command]) -> Iterator[Command]:
    for command in commands:
        notes.append(command)
        yield command


def ask(name: str, *values: Value) -> Verb[Any]:
    """Run a script once, with no keys but those it makes of its arguments."""
    answers = yield from run(script(name), [([], list(values))])
    return answers[0]


def good(answer: Any) -> Any:
    if type(answer) is Refusal:
        raise answer
    return answer
