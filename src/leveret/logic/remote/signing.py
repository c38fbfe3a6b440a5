"""Signed commands: who knows a key wrote these bytes, a moment ago, once.

Signed is the body as it travels, with the moment and a number used once; so nothing of a command can be changed, and
none can be sent a second time.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256

from msgspec.structs import replace

from leveret.model.remote.command import Parcel

SIGNATURE = "leveret-signature"
"""The header; Celery's workers read over it."""
FRESH_SECONDS = 30.0
"""How far the clocks of two machines may be apart, and how long a command may travel."""
_VERSION = "1"


def sign(parcel: Parcel, keys: Sequence[str], now: float, nonce: str) -> Parcel:
    """With the first key; without keys the parcel as it is."""
    if not keys:
        return parcel
    seal = f"{_VERSION} {now:.3f} {nonce}"
    return replace(parcel, headers={**parcel.headers, SIGNATURE: f"{seal} {_digest(keys[0], seal, parcel.body)}"})


def verify(parcel: Parcel, keys: Sequence[str], now: float) -> str | None:
    """Answer the number used once of a command that one of the keys signed and that is fresh; None for all others."""
    given = parcel.headers.get(SIGNATURE)
    parts = given.split(" ") if isinstance(given, str) else []
    if len(parts) != 4 or parts[0] != _VERSION:
        return None
    seal, digest = " ".join(parts[:3]), parts[3]
    if not any(hmac.compare_digest(_digest(key, seal, parcel.body), digest) for key in keys):
        return None
    try:
        age = abs(now - float(parts[1]))
    except ValueError:
        return None
    return parts[2] if age <= FRESH_SECONDS else None


def _digest(key: str, seal: str, body: bytes) -> str:
    return hmac.new(key.encode(), f"{seal} ".encode() + body, sha256).hexdigest()


class Nonces:
    """Numbers that were used, for as long as a signature with them would be fresh."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def use(self, nonce: str, now: float) -> bool:
        """False for one that was used before."""
        if len(self._until) > 1000:
            self._until = {name: until for name, until in self._until.items() if until > now}
        if self._until.get(nonce, 0.0) > now:
            return False
        # A clock ahead of ours signs for the future: fresh for twice as long.
        self._until[nonce] = now + 2 * FRESH_SECONDS
        return True
