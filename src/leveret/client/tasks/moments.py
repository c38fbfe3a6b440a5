"""Moments in an app's life that code may wait for (`@app.on_after_finalize.connect`)."""

import logging
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger("leveret.app")

SLOW_SECONDS = 5.0


class Moment:
    """Its receivers are called with `sender=app`, each once. One that has not returned after some seconds is named in
    the log: a start that hangs in a hook shows nothing else."""

    def __init__(self, name: str = "hook", slow_seconds: float = SLOW_SECONDS) -> None:
        self._name, self._slow_seconds = name, slow_seconds
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
            self._call(receiver, sender)

    def _call(self, receiver: Callable[..., Any], sender: Any) -> None:
        watch = threading.Timer(self._slow_seconds, self._tell, (receiver,))
        watch.daemon = True
        watch.start()
        try:
            receiver(sender=sender)
        finally:
            watch.cancel()
            # Gone before anybody forks: a process with a thread cannot be a forkserver.
            watch.join()

    def _tell(self, receiver: Callable[..., Any]) -> None:
        name = f"{getattr(receiver, '__module__', '?')}.{getattr(receiver, '__qualname__', repr(receiver))}"
        log.warning(
            "the %s hook %s has not returned after %g s; the start waits for it", self._name, name, self._slow_seconds
        )
