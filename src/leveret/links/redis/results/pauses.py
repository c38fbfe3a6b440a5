"""`ports.limiting.pauses` in Redis: one hash, a field for each kind and name."""

from collections.abc import Callable

import msgspec

from leveret.links.redis.hubs import Hubs
from leveret.links.redis.ledger.grant import Grant
from leveret.links.redis.scripts import Verb, good
from leveret.ports.limiting.pauses import Pause

_WRITE = msgspec.json.Encoder().encode
_READ: Callable[[bytes], Pause] = msgspec.json.Decoder(Pause).decode


class RedisPauses:
    """`key` may be looked at by whoever may keep a ledger; a user who may not (`grant`) learns of nothing paused."""

    def __init__(self, hubs: Hubs, key: str, grant: Grant) -> None:
        self._hubs, self._key, self._grant = hubs, key, grant

    async def pause(self, pauses: tuple[Pause, ...]) -> None:
        if pauses:
            await self._hubs.own().perform(self._pause(pauses))

    def _pause(self, pauses: tuple[Pause, ...]) -> Verb[None]:
        known = yield from self._all()
        since = {(one.kind, one.name): one.since for one in known}
        rows: list[str | bytes] = []
        for one in pauses:
            # It goes on from when it was paused first.
            kept = msgspec.structs.replace(one, since=since.get((one.kind, one.name), one.since))
            rows += [_field(one.kind, one.name), _WRITE(kept)]
        answers = yield [("HSET", self._key, *rows)]
        good(answers[0])

    async def resume(self, kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
        return await self._hubs.own().perform(self._resume(kind, names)) if names else ()

    def _resume(self, kind: str, names: tuple[str, ...]) -> Verb[tuple[str, ...]]:
        answers = yield [("HDEL", self._key, _field(kind, name)) for name in names]
        return tuple(name for name, gone in zip(names, map(good, answers), strict=True) if gone)

    async def all(self) -> tuple[Pause, ...]:
        return await self._hubs.own().perform(self._grant.guarded(self._all(), ()))

    def _all(self) -> Verb[tuple[Pause, ...]]:
        answers = yield [("HGETALL", self._key)]
        found = good(answers[0])
        # A hash as RESP 3 answers it, or flat.
        rows = found.values() if isinstance(found, dict) else found[1::2]
        return tuple(sorted(map(_READ, rows), key=lambda one: (one.kind, one.name)))


def _field(kind: str, name: str) -> str:
    return f"{kind}:{name}"
