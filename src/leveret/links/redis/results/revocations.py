"""`ports.operations.revocations` in Redis: one sorted set, by until when it is remembered."""

from collections.abc import Sequence

from leveret.links.redis.hubs import Hubs
from leveret.links.redis.ledger.grant import Grant
from leveret.links.redis.scripts import Verb, good
from leveret.ports.clock import Clock

AT_ONCE = 1000


class RedisRevocations:
    """`key` is where a claim looks, if the broker is here. With the rights of a ledger it needs no more; a user who has
    not even those learns of nothing here (`grant`), and goes on."""

    def __init__(self, hubs: Hubs, key: str, clock: Clock, grant: Grant) -> None:
        self._hubs, self._key, self._clock, self._grant = hubs, key, clock, grant

    async def revoke(self, marks: Sequence[str], seconds: float) -> None:
        for start in range(0, len(marks), AT_ONCE):
            await self._hubs.own().perform(self._revoke(marks[start : start + AT_ONCE], seconds))

    def _revoke(self, marks: Sequence[str], seconds: float) -> Verb[None]:
        now = self._clock.now()
        rows = [word for mark in marks for word in (repr(now + seconds), mark)]
        # Never sooner than was said before.
        answers = yield [("ZADD", self._key, "GT", *rows), ("ZREMRANGEBYSCORE", self._key, "-inf", repr(now))]
        good(answers[0])

    async def among(self, marks: Sequence[str]) -> frozenset[str]:
        if not marks:
            return frozenset()
        return await self._hubs.own().perform(self._grant.guarded(self._among(marks), frozenset()))

    def _among(self, marks: Sequence[str]) -> Verb[frozenset[str]]:
        answers = yield [("ZSCORE", self._key, mark) for mark in marks]
        return frozenset(mark for mark, score in zip(marks, map(good, answers), strict=True) if score is not None)

    async def all(self, limit: int) -> tuple[str, ...]:
        return await self._hubs.own().perform(self._grant.guarded(self._all(limit), ()))

    def _all(self, limit: int) -> Verb[tuple[str, ...]]:
        answers = yield [("ZRANGEBYSCORE", self._key, repr(self._clock.now()), "+inf", "LIMIT", 0, limit)]
        return tuple(mark.decode(errors="replace") for mark in good(answers[0]))
