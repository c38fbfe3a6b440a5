"""Whether our Redis user may use channels; since Redis 7 a new user may not, unless told `&*`."""

import logging
import time

log = logging.getLogger("leveret.redis")

AGAIN_SECONDS = 60.0
"""After a refusal nothing is tried for so long: each try would be a line in Redis's ACL LOG."""


class Channels:
    """One for each driver. Without channels results work, but whoever waits has to look every half second."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._closed_until = 0.0
        self._told = False

    @property
    def open(self) -> bool:
        return not self._closed_until or time.monotonic() >= self._closed_until

    def close(self, verb: str) -> None:
        self._closed_until = time.monotonic() + AGAIN_SECONDS
        if not self._told:
            self._told = True
            log.warning(
                "the Redis user of %s may not %s on result channels: whoever waits for results looks every half "
                "second instead. Grant it with: ACL SETUSER <user> &*",
                self._shown,
                verb,
            )
