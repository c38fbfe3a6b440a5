"""Limits in Redis: `ports.limiting.gate`. Each verb is one round trip."""

from collections.abc import Mapping, Sequence

from leveret.links.redis.blocking import Pool
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.limits.verbs import LimitVerbs
from leveret.links.redis.results.backend import Store
from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Answer, BoundState, Entry, Exit, Grant, Reason, Wish


class RedisGate:
    """`ports.limiting.gate.Gate`."""

    def __init__(self, hubs: Hubs, verbs: LimitVerbs) -> None:
        self._hubs, self._verbs = hubs, verbs

    async def enter(self, session: SessionId, entries: tuple[Entry, ...]) -> tuple[Answer, ...]:
        return await self._hubs.own().perform(self._verbs.enter(session, entries)) if entries else ()

    async def leave(self, session: SessionId, exits: tuple[Exit, ...], succeeded: Mapping[str, int]) -> None:
        await self._hubs.own().perform(self._verbs.leave(session, exits, succeeded))


class RedisInsight:
    """`ports.limiting.gate.Insight`."""

    def __init__(self, pool: Pool, verbs: LimitVerbs) -> None:
        self._pool, self._verbs = pool, verbs

    def reasons(self, ids: Sequence[str]) -> tuple[Reason | None, ...]:
        return self._pool.perform(self._verbs.reasons(ids)) if ids else ()

    def states(self, limit: int) -> tuple[BoundState, ...]:
        return self._pool.perform(self._verbs.states(limit))


class RedisKeys:
    """`ports.limiting.gate.Keys`."""

    def __init__(self, pool: Pool, verbs: LimitVerbs) -> None:
        self._pool, self._verbs = pool, verbs

    def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]:
        return self._pool.perform(self._verbs.wish(wishes, pending_seconds)) if wishes else ()

    def sent(self, wishes: tuple[Wish, ...]) -> None:
        self._pool.perform(self._verbs.sent(wishes, out=True))

    def unsent(self, wishes: tuple[Wish, ...]) -> None:
        self._pool.perform(self._verbs.sent(wishes, out=False))


class RedisAsyncKeys:
    """`ports.limiting.gate.AsyncKeys`."""

    def __init__(self, hubs: Hubs, verbs: LimitVerbs) -> None:
        self._hubs, self._verbs = hubs, verbs

    async def wish(self, wishes: tuple[Wish, ...], pending_seconds: float) -> tuple[Grant, ...]:
        return await self._hubs.own().perform(self._verbs.wish(wishes, pending_seconds)) if wishes else ()

    async def sent(self, wishes: tuple[Wish, ...]) -> None:
        await self._hubs.own().perform(self._verbs.sent(wishes, out=True))

    async def unsent(self, wishes: tuple[Wish, ...]) -> None:
        await self._hubs.own().perform(self._verbs.sent(wishes, out=False))


class KeepsLimits:
    """`ports.limiting.gate.Limiting` of a driver on Redis: what its broker and its store have in common."""

    _store: Store
    _limits: LimitVerbs

    def gate(self) -> RedisGate:
        return RedisGate(self._store.hubs, self._limits)

    def insight(self) -> RedisInsight:
        return RedisInsight(self._store.pool, self._limits)

    def keys(self) -> RedisKeys:
        return RedisKeys(self._store.pool, self._limits)

    def async_keys(self, *, inline: bool = True) -> RedisAsyncKeys:
        return RedisAsyncKeys(self._store.hubs, self._limits)
