"""Whether our Redis user may keep a ledger and an outbox; results alone need less."""

import logging
import time
from typing import TypeVar

from leveret.links.redis.refusals import LEDGER_RIGHTS, Refusal
from leveret.links.redis.scripts import Verb

T = TypeVar("T")
log = logging.getLogger("leveret.redis")

AGAIN_SECONDS = 60.0
"""After a refusal nothing is tried for so long: each try would be a line in Redis's ACL LOG."""
_SIGNS = ("NOPERM", "ACL failure in script", "The user executing the script can't")
"""Redis 7 and 6 say it differently inside a script."""


def denied(refusal: Refusal) -> bool:
    """Whether the user lacks a right."""
    return any(sign in str(refusal) for sign in _SIGNS)


class Grant:
    """One for each driver. Without the rights results work, and the broker is on its own as it is without a store."""

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self._closed_until = 0.0
        self._told = False

    def guarded(self, verb: Verb[T], otherwise: T) -> Verb[T]:
        """Carry out a verb, or answer `otherwise` where the rights are missing."""
        if self._closed_until and time.monotonic() < self._closed_until:
            return otherwise
        try:
            return (yield from verb)
        except Refusal as refusal:
            if not denied(refusal):
                raise
            self._close(refusal)
            return otherwise

    def _close(self, refusal: Refusal) -> None:
        self._closed_until = time.monotonic() + AGAIN_SECONDS
        if not self._told:
            self._told = True
            log.warning(
                "the Redis user of %s may keep results, but no ledger and no outbox (%s): nodes count charges each for "
                "themselves, and a chord whose sender dies may stay half-sent. Grant it with: ACL SETUSER <user> %s",
                self._shown,
                refusal,
                LEDGER_RIGHTS,
            )
