"""`ports.outbox` in Redis, for senders whose broker is another server."""

from collections.abc import Callable

import msgspec

from leveret.links.redis.blocking import Pool
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.ledger.grant import Grant
from leveret.links.redis.results.records import Keys
from leveret.links.redis.results.verbs import begun, opened
from leveret.links.redis.scripts import Verb, ask, good
from leveret.model.delivery import Posting
from leveret.ports.outbox import Unsent

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE: Callable[[bytes], tuple[Posting, ...]] = msgspec.msgpack.Decoder(tuple[Posting, ...]).decode


class OutboxVerbs:
    """Written once for both faces."""

    def __init__(self, prefix: str, grant: Grant) -> None:
        self._prefix, self._grant = prefix, grant

    def intend(self, unsent: Unsent, seconds: float) -> Verb[None]:
        yield from opened(Keys(self._prefix), begun(unsent.postings))
        values = (unsent.id, _ENCODE(unsent.postings), repr(float(seconds)))
        yield from self._grant.guarded(ask("outbox/intend", self._prefix, *values), None)

    def sent(self, ids: tuple[str, ...]) -> Verb[None]:
        return self._grant.guarded(self._sent(ids), None)

    def _sent(self, ids: tuple[str, ...]) -> Verb[None]:
        if ids:
            key = f"{self._prefix}leveret:outbox"
            # Not overdue from the first on; what is left of one half done expires.
            answers = yield [("ZREM", key, *ids), ("DEL", *(f"{key}:{name}" for name in ids))]
            for answer in answers:
                good(answer)

    def overdue(self, limit: int) -> Verb[tuple[Unsent, ...]]:
        return self._grant.guarded(self._overdue(limit), ())

    def _overdue(self, limit: int) -> Verb[tuple[Unsent, ...]]:
        found = yield from ask("outbox/overdue", self._prefix, limit)
        pairs = zip(found[::2], found[1::2], strict=True)
        return tuple(Unsent(id=name.decode(), postings=_DECODE(blob)) for name, blob in pairs)


class RedisOutbox:
    """The asynchronous face; it never blocks."""

    def __init__(self, hubs: Hubs, verbs: OutboxVerbs) -> None:
        self._hubs, self._verbs = hubs, verbs

    async def intend(self, unsent: Unsent, seconds: float) -> None:
        await self._hubs.own().perform(self._verbs.intend(unsent, seconds))

    async def sent(self, ids: tuple[str, ...]) -> None:
        await self._hubs.own().perform(self._verbs.sent(ids))

    async def overdue(self, limit: int) -> tuple[Unsent, ...]:
        return await self._hubs.own().perform(self._verbs.overdue(limit))


class RedisBlockingOutbox:
    """The sender's face."""

    def __init__(self, pool: Pool, verbs: OutboxVerbs) -> None:
        self._pool, self._verbs = pool, verbs

    def intend(self, unsent: Unsent, seconds: float) -> None:
        self._pool.perform(self._verbs.intend(unsent, seconds))

    def sent(self, ids: tuple[str, ...]) -> None:
        self._pool.perform(self._verbs.sent(ids))
