"""Moments in an app's life that code may wait for (`@app.on_after_finalize.connect`)."""

from collections.abc import Callable
from typing import Any


class Moment:
    """Its receivers are called with `sender=app`, each once."""

    def __init__(self) -> None:
        self._receivers: list[Callable[..., Any]] = []
        self._over = False

    def connect(self, receiver: Callable[..., Any] | None = None, **ignored: Any) -> Any:
        """Call `receiver` at the moment; works as a decorator, with or without parentheses."""
        if receiver is None:
            return self.connect
        self._receivers.append(receiver)
        return receiver

    def send(self, sender: Any) -> None:
        if self._over:
            return
        self._over = True
        for receiver in self._receivers:
            receiver(sender=sender)
