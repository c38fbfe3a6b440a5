"""What dead Celery workers left behind: kombu records each hand-over after the fact, and waits an hour for its end."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leveret.brokers.redis.kombu.exchanges import bound_queues
from leveret.links.redis import envelope
from leveret.links.redis.hubs import Hubs
from leveret.links.redis.names import URGENT, Names
from leveret.links.redis.scripts import Call, Verb, good, run, script
from leveret.model.delivery import LeftBehind
from leveret.ports.clock import Clock

AT_ONCE = 200


class RedisRecovery:
    """`ports.recovery.Recovery`."""

    def __init__(self, hubs: Hubs, prefix: str, transport: Mapping[str, Any], clock: Clock) -> None:
        self._hubs, self._clock = hubs, clock
        # Celery's steps, whatever ours are: its workers may be the ones to go on.
        self._names = Names(prefix, high_first=False, transport=transport)
        self._hash = str(transport.get("unacked_key", "unacked"))
        self._index = str(transport.get("unacked_index_key", "unacked_index"))
        self.usual_age = float(transport.get("visibility_timeout", 3600))

    async def look(self, older_than: float) -> tuple[LeftBehind, ...]:
        return await self._hubs.own().perform(self._look(self._clock.now() - older_than))

    async def take_over(self, found: tuple[LeftBehind, ...]) -> int:
        hub, done = self._hubs.own(), 0
        for start in range(0, len(found), AT_ONCE):
            done += await hub.perform(self._take_over(found[start : start + AT_ONCE]))
        return done

    def _look(self, until: float) -> Verb[tuple[LeftBehind, ...]]:
        names = self._names
        answers = yield [("ZRANGEBYSCORE", names.key(self._index), "-inf", repr(until), "WITHSCORES")]
        since = dict(_scores(good(answers[0])))
        tags, found = list(since), []
        for start in range(0, len(tags), AT_ONCE):
            part = tags[start : start + AT_ONCE]
            answers = yield [("HMGET", names.key(self._hash), *part)]
            for tag, record in zip(part, good(answers[0]), strict=True):
                if record is not None:
                    found.append((yield from self._read(tag, since[tag], record)))
        return tuple(found)

    def _read(self, tag: str, since: float, record: bytes) -> Verb[LeftBehind]:
        try:
            message, exchange, key = json.loads(record)
            raw = json.dumps(message).encode()
            headers = message["headers"] or {}
            name, task = str(headers.get("id", "?")), str(headers.get("task", "?"))
        except (ValueError, TypeError, KeyError, RecursionError):
            return LeftBehind(tag=tag, since=since)
        queues: tuple[str, ...] = (str(key),)
        if exchange:
            answers = yield [("SMEMBERS", self._names.key(f"_kombu.binding.{exchange}"))]
            queues = bound_queues(good(answers[0]), key)
        return LeftBehind(tag=tag, since=since, id=name, task=task, queues=queues, raw=raw)

    def _take_over(self, found: Sequence[LeftBehind]) -> Verb[int]:
        calls = [self._call(one) for one in found if one.queues]
        return sum((yield from run(script("takeover"), calls)))

    def _call(self, one: LeftBehind) -> Call:
        raw = envelope.changed(one.raw, counted=True)
        step = min(max(envelope.priority(raw), 0), URGENT)
        places = [value for queue in one.queues for value in (self._names.list(queue, step), raw)]
        return [], [self._names.prefix, self._hash, self._index, repr(one.since), one.tag, *places]


def _scores(answer: Any) -> Iterator[tuple[str, float]]:
    """As RESP 3 answers, in pairs, or flat."""
    pairs = answer if answer and isinstance(answer[0], list) else zip(answer[::2], answer[1::2], strict=True)
    for tag, score in pairs:
        yield tag.decode(), float(score)
