"""Sending a command to nodes, and collecting what they say."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from leveret.errors import DecodeError
from leveret.logic.remote.signing import sign
from leveret.logic.remote.wire import read_answer, write_command
from leveret.model.remote.command import Answer, Command
from leveret.ports.clock import Clock
from leveret.ports.operations.mailbox import Inbox, Mailbox

HeardAnswer = Callable[[Answer], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """`open` makes a mailbox for the running loop; it is closed after each call."""

    open: Callable[[], AbstractAsyncContextManager[Mailbox]]
    clock: Clock
    namespace: str
    keys: tuple[str, ...] = ()
    """The first signs."""

    async def send(self, command: Command) -> None:
        """Nobody waits for answers."""
        async with self.open() as mailbox:
            await self._send(mailbox, command)

    async def ask(
        self, command: Command, seconds: float, *, limit: int | None = None, heard: HeardAnswer | None = None
    ) -> list[Answer]:
        """What was answered within `seconds`, at most `limit` answers, each told to `heard` as it comes."""
        answers: list[Answer] = []
        async with self.open() as mailbox, mailbox.inbox() as inbox:
            ticket = self.clock.new_id()
            expires = self.clock.now() + seconds
            await self._send(mailbox, replace(command, ticket=ticket, reply_to=inbox.address, expires=expires))
            end = self.clock.monotonic() + seconds
            while (limit is None or len(answers) < limit) and (left := end - self.clock.monotonic()) > 0:
                for answer in await _taken(inbox, left, ticket):
                    answers.append(answer)
                    if heard is not None:
                        heard(answer)
        return answers

    async def _send(self, mailbox: Mailbox, command: Command) -> None:
        parcel = sign(write_command(command, self.namespace), self.keys, self.clock.now(), self.clock.new_id())
        await mailbox.broadcast((parcel,))


async def _taken(inbox: Inbox, seconds: float, ticket: str) -> list[Answer]:
    found: list[Answer] = []
    for parcel in await inbox.take(seconds):
        try:
            answer = read_answer(parcel)
        except DecodeError:
            continue
        if answer.ticket == ticket:
            found.append(answer)
    return found


def as_replies(answers: list[Answer]) -> list[dict[str, Any]]:
    """Celery's form: `[{node: value}, ...]`."""
    return [{answer.node: answer.value} for answer in answers]
