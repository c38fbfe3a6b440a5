"""The node's ear: hears commands, has them carried out, answers. It runs beside the node and never ends it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from leveret.errors import BrokerError, DecodeError
from leveret.logic.remote.matching import is_for
from leveret.logic.remote.signing import Nonces, verify
from leveret.logic.remote.wire import read_command, write_answer
from leveret.model.remote.command import Answer, Command, Parcel
from leveret.ports.clock import Clock
from leveret.ports.operations.mailbox import Mailbox
from leveret.supervisor.options import Log, log_to_logging
from leveret.supervisor.remote.panel import Panel

MOST_AT_ONCE: Final = 100
"""Commands under way; what comes beyond them is not heard, whoever floods a node."""
_AGAIN_SECONDS: Final = 5.0
_REFUSED: Final = "SecurityError('this node takes only signed commands that change anything (control_key)')"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerParts:
    """What wiring joins. `open` makes the mailbox on the node's loop."""

    open: Callable[[], Mailbox]
    node: str
    namespace: str
    clock: Clock
    keys: tuple[str, ...] = ()
    log: Log = log_to_logging


class Listener:
    """`run` until cancelled."""

    def __init__(self, parts: ListenerParts, panel: Panel) -> None:
        self._parts, self._panel = parts, panel
        self._clock, self._log = parts.clock, parts.log
        self._mailbox: Mailbox | None = None
        self._nonces = Nonces()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        mailbox = self._mailbox = self._parts.open()
        try:
            while True:
                try:
                    await mailbox.listen(self._parts.node, self._hear)
                except Exception as error:  # an actor's loop: a node without remote control still works
                    self._log("warning", "remote control is out and tried again", error=repr(error))
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            for task in self._tasks:
                task.cancel()
            await mailbox.close()

    def _hear(self, parcel: Parcel) -> None:
        try:
            command = read_command(parcel, self._parts.namespace)
        except DecodeError as error:
            self._log("debug", "a command that cannot be read", error=error)
            return
        self._panel.time = max(self._panel.time, command.clock) + 1
        if not is_for(command, self._parts.node):
            return
        if command.expires and command.expires < self._clock.now():
            return
        if len(self._tasks) >= MOST_AT_ONCE:
            return
        task = asyncio.ensure_future(self._carry_out(command, parcel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, command: Command, parcel: Parcel) -> None:
        value = await self._value(command, parcel)
        mailbox = self._mailbox
        if not command.ticket or mailbox is None:
            return
        self._panel.time += 1
        answer = Answer(node=self._parts.node, value=value, ticket=command.ticket, clock=self._panel.time)
        try:
            await mailbox.answer(command.reply_to, (write_answer(answer),))
        except BrokerError as error:
            self._log("warning", "an answer to a command was lost", command=command.method, error=error)

    async def _value(self, command: Command, parcel: Parcel) -> Any:
        changes = self._panel.changes(command.method)
        if changes and self._parts.keys and not self._is_signed(parcel):
            self._log("warning", "a command that is not signed was refused", command=command.method)
            return {"error": _REFUSED}
        if changes:
            self._log("info", "remote control", command=command.method, arguments=dict(command.arguments))
        try:
            return await self._panel.handle(command.method, command.arguments)
        except Exception as error:  # goes back to whoever asked, as Celery answers it
            self._log("warning", "a command failed", command=command.method, error=repr(error))
            return {"error": repr(error)}

    def _is_signed(self, parcel: Parcel) -> bool:
        now = self._clock.now()
        nonce = verify(parcel, self._parts.keys, now)
        return nonce is not None and self._nonces.use(nonce, now)
