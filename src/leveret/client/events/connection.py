"""`app.connection()`: which broker is meant. Leveret's own parts open what they need by themselves; what ported
programs do with a connection is to hand it to a receiver, to show where it leads, and to see whether it answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Self

from leveret.errors import OperationalError
from leveret.model.endpoint import Url

_PAUSE_SECONDS = 0.5


class Connection:
    """A context manager, as kombu's. `reach` asks the broker something and raises `OperationalError` where it does not
    answer."""

    def __init__(self, url: Url, settings: Any, reach: Callable[[Any], Awaitable[None]]) -> None:
        self.url, self.settings, self._reach = url, settings, reach
        self.connected = False

    @property
    def transport_cls(self) -> str:
        return self.url.scheme

    @property
    def default_channel(self) -> Self:
        """Kombu's receivers take a channel; here the connection itself is one."""
        return self

    def channel(self) -> Self:
        return self

    def as_uri(self, include_password: bool = False, mask: str = "**") -> str:
        return str(self.url) if include_password else self.url.masked

    def connect(self) -> Self:
        """See whether the broker answers, once."""
        return self.ensure_connection(max_retries=1)

    def ensure_connection(
        self,
        errback: Callable[[Exception, float], None] | None = None,
        max_retries: int | None = None,
        interval_start: float = _PAUSE_SECONDS,
        **_: Any,
    ) -> Self:
        """Return when the broker has answered. Raises `OperationalError` after so many tries, None: never."""
        tries = 0
        while True:
            try:
                asyncio.run(self._reached())
            except OperationalError as error:
                tries += 1
                if max_retries is not None and tries >= max_retries:
                    raise
                if errback is not None:
                    errback(error, interval_start)
                time.sleep(interval_start)
            else:
                self.connected = True
                return self

    async def _reached(self) -> None:
        await self._reach(self.settings)

    def close(self) -> None:
        self.connected = False

    release = close

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection: {self.as_uri()}>"
