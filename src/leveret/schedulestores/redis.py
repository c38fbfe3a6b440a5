"""The schedule in Redis: each verb is one script, by the server's clock.

What only Python can decide (`ticks.same_times`) is decided about what was read, and written by a script that writes
nothing unless that still stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import msgspec

from leveret.links.redis.hubs import Hubs
from leveret.links.redis.location import locate_broker
from leveret.links.redis.rights import Channels
from leveret.links.redis.scripts import Value, Verb, ask, good, run, script
from leveret.logic.schedules.ticks import same_times
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.schedules.entry import (
    RETRY_SECONDS,
    RUNS_KEPT,
    Due,
    Entry,
    Fire,
    Move,
    Report,
    Run,
    Standing,
)
from leveret.ports.clock import Clock

LOOKED_AT = 200
"""Entries read by one script: about 1 ms. Of a look at all of them each is whole, and somebody may write in between."""
TAKEN_AT_ONCE = 1000
"""Fires noted by one script, where a single move has not more."""
_ENCODE = msgspec.msgpack.Encoder().encode
_ENTRIES: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)
_FIRES: msgspec.msgpack.Decoder[Fire] = msgspec.msgpack.Decoder(Fire)
_YES, _NO = "1", "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is to become of one entry. `seen`: what stood when that was decided."""

    entry: Entry
    seen: bytes | None
    blob: bytes = b""
    """Empty: what stands stays."""
    keeps: bool = False
    refused: bool = False
    """It belongs to another source."""

    def words(self) -> tuple[Value, ...]:
        digest = "" if self.seen is None else sha1(self.seen).hexdigest()
        return self.entry.name, digest, self.blob, self.entry.source, _YES if self.keeps else _NO


class RedisSchedules:
    """`ports.schedule.ScheduleStore`."""

    def __init__(self, hubs: Hubs, prefix: str) -> None:
        self._hubs, self._prefix = hubs, prefix

    async def sync(self, source: str, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        return await self._hubs.own().perform(self._sync(source, entries))

    async def put(self, entries: tuple[Entry, ...]) -> tuple[Standing | None, ...]:
        return await self._hubs.own().perform(self._put(entries)) if entries else ()

    async def drop(self, names: tuple[str, ...]) -> tuple[bool, ...]:
        return tuple(map(bool, await self._hubs.own().perform(ask("schedule_drop", self._prefix, *names))))

    async def pause(self, names: tuple[str, ...], paused: bool) -> tuple[bool, ...]:
        asked = ask("schedule_pause", self._prefix, _YES if paused else _NO, *names)
        return tuple(map(bool, await self._hubs.own().perform(asked)))

    async def look(self, names: tuple[str, ...] | None = None, runs: int = 0) -> tuple[Standing | None, ...]:
        return await self._hubs.own().perform(self._look(names, runs))

    async def due(self, limit: int) -> Due:
        asked = ask("schedule_due", self._prefix, repr(RETRY_SECONDS), limit)
        now, following, more, standings, fires = await self._hubs.own().perform(asked)
        return Due(
            now=float(now),
            standings=tuple(map(_standing, standings)),
            fires=tuple(_FIRES.decode(fire) for fire in fires),
            next=float(following) if following else None,
            more=bool(more),
        )

    async def take(self, moves: tuple[Move, ...]) -> tuple[bool, ...]:
        calls: list[tuple[list[str], list[Value]]] = [
            ([], [self._prefix, RUNS_KEPT, *(word for move in some for word in _decision(move))])
            for some in _portions(moves)
        ]
        answers = await self._hubs.own().perform(run(script("schedule_take"), calls))
        return tuple(bool(ours) for answer in answers for ours in answer)

    async def report(self, reports: tuple[Report, ...]) -> None:
        words = [word for told in reports for word in _report(told)]
        await self._hubs.own().perform(ask("schedule_report", self._prefix, RUNS_KEPT, *words))

    # Verbs

    def _sync(self, source: str, entries: tuple[Entry, ...]) -> Verb[tuple[str, ...]]:
        while True:
            lines = yield from self._decided(entries, takes_over=True)
            if not any(line.blob for line in lines) and (yield from self._all_of(source, entries)):
                # The start of one more worker: the server need not be held up for what changes nothing.
                return ()
            answer = yield from self._save(_YES, source, lines)
            if answer:
                changed = tuple(line.entry.name for line in lines if line.blob)
                return changed + tuple(name.decode() for name in answer[0])

    def _all_of(self, source: str, entries: tuple[Entry, ...]) -> Verb[bool]:
        answers = yield [("SMEMBERS", f"{self._prefix}leveret:schedules:source:{source}")]
        return {name.decode() for name in good(answers[0])} <= {entry.name for entry in entries}

    def _put(self, entries: tuple[Entry, ...]) -> Verb[tuple[Standing | None, ...]]:
        while True:
            lines = yield from self._decided(entries, takes_over=False)
            answer = yield from self._save(_NO, "", lines)
            if answer:
                return tuple(
                    None if line.refused else _standing(facts) for line, facts in zip(lines, answer[1:], strict=True)
                )

    def _save(self, sweeps: str, source: str, lines: list[Line]) -> Verb[list[Any]]:
        """Empty: somebody else was first. Each time that happens somebody has got on, so whoever tries again ends."""
        words = [word for line in lines for word in line.words()]
        answer: list[Any] = yield from ask("schedule_save", self._prefix, sweeps, source, *words)
        return answer

    def _decided(self, entries: tuple[Entry, ...], *, takes_over: bool) -> Verb[list[Line]]:
        names = list(dict.fromkeys(entry.name for entry in entries))
        if not names:
            return []
        answers = yield [("HGET", f"{self._prefix}leveret:schedules:entry:{name}", "entry") for name in names]
        stood: dict[str, bytes | None] = dict(zip(names, map(good, answers), strict=True))
        lines = []
        for entry in entries:
            line = _decide(entry, stood[entry.name], takes_over=takes_over)
            lines.append(line)
            stood[entry.name] = line.blob or line.seen
        return lines

    def _look(self, names: Sequence[str] | None, runs: int) -> Verb[tuple[Standing | None, ...]]:
        listed = names
        if listed is None:
            answers = yield [("ZRANGE", f"{self._prefix}leveret:schedules", 0, -1)]
            listed = sorted(name.decode() for name in good(answers[0]))
        calls: list[tuple[list[str], list[Value]]] = [
            ([], [self._prefix, runs, *listed[start : start + LOOKED_AT]]) for start in range(0, len(listed), LOOKED_AT)
        ]
        answers = yield from run(script("schedule_look"), calls)
        found = tuple(_seen(facts, told) for answer in answers for facts, told in answer)
        # One that was dropped between the two looks is none of them all.
        return found if names is not None else tuple(standing for standing in found if standing is not None)


class RedisScheduleDriver:
    """`ports.driver.ScheduleDriver`. Opens nothing until asked."""

    def __init__(self, url: Url, options: DriverOptions, clock: Clock) -> None:
        location = locate_broker(url, options)
        self._hubs = Hubs(location, Channels(location.shown), clock.jitter)
        self._prefix = location.prefix
        self.address = location.shown

    def schedules(self) -> RedisSchedules:
        return RedisSchedules(self._hubs, self._prefix)

    async def close(self) -> None:
        self._hubs.close()


# To the scripts' words and back.


def _decide(entry: Entry, stood: bytes | None, *, takes_over: bool) -> Line:
    blob = _ENCODE(entry)
    if stood is None:
        return Line(entry=entry, seen=None, blob=blob)
    if stood == blob:
        return Line(entry=entry, seen=stood)
    known = _ENTRIES.decode(stood)
    if known.source != entry.source and not takes_over:
        return Line(entry=entry, seen=stood, refused=True)
    return Line(entry=entry, seen=stood, blob=blob, keeps=same_times(known, entry))


def _portions(moves: tuple[Move, ...]) -> Iterator[list[Move]]:
    """A catch-up after a long outage must not hold up the server in one piece."""
    some: list[Move] = []
    weight = 0
    for move in moves:
        if some and weight + len(move.fires) > TAKEN_AT_ONCE:
            yield some
            some, weight = [], 0
        some.append(move)
        weight += len(move.fires)
    if some:
        yield some


def _decision(move: Move) -> Iterator[Value]:
    last = move.fires[-1] if move.fires else None
    yield from (move.name, move.revision, repr(float(move.seen)), repr(float(move.cursor)))
    yield "" if move.due is None else repr(float(move.due))
    yield len(move.fires)
    yield from ("", "") if last is None else (last.id, repr(float(last.moment)))
    yield len(move.skipped)
    for fire in move.fires:
        yield from (_member(fire.revision, fire.moment, move.name), _ENCODE(fire))
    for skipped in move.skipped:
        yield from (repr(float(skipped.moment)), repr(float(skipped.late)), skipped.outcome, skipped.id)


def _report(told: Report) -> tuple[Value, ...]:
    member = _member(told.revision, told.moment, told.name)
    return member, told.name, repr(float(told.moment)), told.outcome, told.id


def _member(revision: int, moment: float, name: str) -> str:
    """A fire's name among those taken."""
    return f"{revision} {float(moment)!r} {name}"


def _seen(facts: list[Any], told: list[bytes]) -> Standing | None:
    if facts[0] is None:
        return None
    standing = _standing(facts)
    return msgspec.structs.replace(standing, runs=tuple(map(_run, told))) if told else standing


def _standing(facts: list[Any]) -> Standing:
    entry, revision, cursor, due, paused, last, last_moment = facts
    return Standing(
        entry=_ENTRIES.decode(entry),
        revision=int(revision),
        cursor=float(cursor),
        due=float(due) if due else None,
        paused=paused == b"1",
        last=(last or b"").decode(),
        last_moment=float(last_moment) if last_moment else None,
    )


def _run(line: bytes) -> Run:
    moment, late, outcome, key = line.decode().split("\t", 3)
    return msgspec.convert({"id": key, "moment": float(moment), "late": float(late), "outcome": outcome}, Run)
