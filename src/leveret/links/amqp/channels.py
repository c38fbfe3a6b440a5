"""The channels of one blocking connection, and who waits for an answer on each."""

from collections import deque
from typing import Any


class Channels:
    """Numbers of channels, and who waits for an answer on each, in the order of asking. `BlockingConnection._heard`
    guards it."""

    def __init__(self) -> None:
        self._waiting: dict[int, deque[list[Any]]] = {}
        self._highest = 0
        self.free: list[int] = []

    def number(self) -> int:
        if self.free:
            return self.free.pop()
        self._highest += 1
        return self._highest

    def ask(self, channel: int) -> list[Any]:
        """Where the answer will stand: a method, a message or None, or an exception."""
        answer: list[Any] = []
        self._waiting.setdefault(channel, deque()).append(answer)
        return answer

    def withdraw(self, channel: int) -> None:
        """What was asked for last was not sent."""
        if waiting := self._waiting.get(channel):
            waiting.pop()

    def answer(self, channel: int, answer: Any) -> None:
        waiting = self._waiting.get(channel)
        if waiting:
            waiting.popleft().append(answer)

    def lose(self, channel: int, error: Exception) -> None:
        """The broker closed it."""
        self.free.append(channel)
        for answer in self._waiting.pop(channel, ()):
            answer.append(error)

    def end(self, error: Exception) -> None:
        for waiting in self._waiting.values():
            for answer in waiting:
                answer.append(error)
        self._waiting.clear()
