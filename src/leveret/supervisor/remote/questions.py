"""Questions to one worker process that wait for their answer."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from leveret.errors import LeveretError
from leveret.model.control import Ask, Told


class NoAnswer(LeveretError):
    """The process is gone, or does not answer in time (a C call that holds the interpreter)."""


class AnsweredWithError(LeveretError):
    """What the process raised, as its repr."""


class Questions:
    """Owned by the child they are put to; touched by the supervisor's loop only."""

    def __init__(self, say: Callable[[Ask], None]) -> None:
        self._say = say
        self._number = 0
        self._open: dict[int, asyncio.Future[Told]] = {}

    async def ask(self, method: str, arguments: Mapping[str, Any], seconds: float) -> Any:
        """Raises `NoAnswer`, `AnsweredWithError`."""
        self._number += 1
        number = self._number
        future = self._open[number] = asyncio.get_running_loop().create_future()
        self._say(Ask(number, method, arguments))
        try:
            told = await asyncio.wait_for(future, seconds)
        except TimeoutError as error:
            raise NoAnswer(f"no answer to {method} within {seconds:g} s") from error
        finally:
            self._open.pop(number, None)
        if told.error:
            raise AnsweredWithError(told.error)
        return told.value

    def heard(self, told: Told) -> None:
        future = self._open.get(told.number)
        if future is not None and not future.done():
            future.set_result(told)

    def end(self) -> None:
        """Nothing will be answered any more."""
        for future in self._open.values():
            if not future.done():
                future.set_exception(NoAnswer("the process is gone"))
