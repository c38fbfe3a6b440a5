"""What a scheduler does now: which moments are due, which of them are run, and what each run's message is."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import assert_never
from zoneinfo import ZoneInfo

import msgspec

from leveret.logic.ids import derive
from leveret.logic.schedules.cron import next_fire
from leveret.logic.schedules.sun import next_event
from leveret.logic.wire.protocol import OUR_HEADER, to_iso
from leveret.model.delivery import Posting
from leveret.model.message import TaskId
from leveret.model.schedules.entry import FRESH_SECONDS, CatchUp, Entry, Fire, Move, Run, Standing
from leveret.model.schedules.timing import Clocked, Cron, Every, Solar

NAME_HEADER, MOMENT_HEADER = "periodic_task_name", "periodic_task_moment"
"""The first is django-celery-beat's name for it."""
BEAT_HEADER = "celery_beat_task"
"""Celery 5.7's beat says so of what it sends."""
_STEP_LIMIT = 100_000
"""Moments looked at in one step back; a run of a second for a day."""
_WALKED = 10_000
_LOOK_BACK_SECONDS = 3600.0
"""More than what is fresh."""


def next_moment(entry: Entry, after: float) -> float | None:
    """The first moment of an entry after `after`, within its start and end."""
    if entry.start is not None and after < entry.start:
        # The start itself may be a moment; an interval begins with it.
        found = entry.start if isinstance(entry.timing, Every) else _next(entry, entry.start - 1e-6)
    else:
        found = _next(entry, after)
    return None if found is None or (entry.end is not None and found > entry.end) else found


def _next(entry: Entry, after: float) -> float | None:
    match entry.timing:
        case Every() as every:
            return _after_interval(every, entry.zone, after)
        case Cron() as cron:
            return next_fire(cron, zone_of(entry.zone), after)
        case Solar() as solar:
            return next_event(solar, after)
        case Clocked(at=at):
            return at if at > after else None
        case other:
            assert_never(other)


def _after_interval(every: Every, zone: str, after: float) -> float:
    found = after + every.seconds
    if not every.relative or every.seconds < 60:
        return found
    local = datetime.fromtimestamp(found, zone_of(zone)).replace(second=0, microsecond=0)
    if every.seconds >= 3600:
        local = local.replace(minute=0)
    if every.seconds >= 86_400:
        local = local.replace(hour=0)
    cut = local.timestamp()
    return cut if cut > after else found


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def plan(standings: tuple[Standing, ...], now: float) -> tuple[Move, ...]:
    """Decide for each entry what is due."""
    return tuple(decide(standing, now) for standing in standings)


def decide(standing: Standing, now: float) -> Move:
    """What is due of one entry; one of which nothing is due gets its next moment."""
    entry = standing.entry
    due, earlier = due_moments(entry, standing.cursor, now)
    chosen = choose(entry.catch_up, due, now)
    skipped: tuple[Run, ...] = ()
    if entry.overlap == "skip" and len(chosen) > 1:
        # They would all run at once.
        skipped = tuple(_run_of(standing, moment, now) for moment in chosen[:-1])
        chosen = chosen[-1:]
    cursor = due[-1] if due else standing.cursor
    return Move(
        name=entry.name,
        revision=standing.revision,
        seen=standing.cursor,
        cursor=cursor,
        due=next_moment(entry, cursor),
        fires=tuple(fire_of(standing, moment) for moment in chosen),
        skipped=skipped,
        missed=earlier or len(due) > len(chosen) + len(skipped),
    )


def _run_of(standing: Standing, moment: float, now: float) -> Run:
    key = run_id(standing.entry.name, standing.revision, moment)
    return Run(id=key, moment=moment, late=now - moment, outcome="skipped")


def skip(move: Move, now: float) -> Move:
    """The same decision without its runs: the one before has not ended."""
    skipped = tuple(Run(id=f.id, moment=f.moment, late=now - f.moment, outcome="skipped") for f in move.fires)
    return msgspec.structs.replace(move, fires=(), skipped=(*move.skipped, *skipped))


def due_moments(entry: Entry, cursor: float, now: float) -> tuple[list[float], bool]:
    """The moments after `cursor` up to now that a policy may want, in order; and whether there were earlier ones.

    After a long outage only the last of them are looked at: from a place that moves back until it has enough."""
    first = next_moment(entry, cursor)
    if first is None or first > now:
        return [], False
    enough = entry.catch_up.most if entry.catch_up.policy == "all" else 1
    if isinstance(entry.timing, Every):
        return _due_intervals(entry, entry.timing, first, now, max(enough, int(FRESH_SECONDS / entry.timing.seconds)))
    back = _LOOK_BACK_SECONDS
    while (place := now - back) > first:
        found = _from(entry, place, now)
        if len(found) >= enough:
            return found, True
        back *= 4
    return [first, *_from(entry, first, now)], False


def _due_intervals(entry: Entry, every: Every, first: float, now: float, enough: int) -> tuple[list[float], bool]:
    """Intervals are counted, not walked through; those cut to a unit are walked while that is quick."""
    passed = int((now - first) // every.seconds) - enough
    earlier = passed > (_WALKED if every.relative else 0)
    begin = first + passed * every.seconds if earlier else first
    return [begin, *_from(entry, begin, now)], earlier


def _from(entry: Entry, place: float, now: float) -> list[float]:
    found: list[float] = []
    moment = next_moment(entry, place)
    while moment is not None and moment <= now and len(found) < _STEP_LIMIT:
        found.append(moment)
        moment = next_moment(entry, moment)
    return found


def choose(policy: CatchUp, due: list[float], now: float) -> list[float]:
    """Those of the due moments that are run. What is fresh is run under every policy."""
    fresh = [moment for moment in due if now - moment <= FRESH_SECONDS]
    missed = due[: len(due) - len(fresh)]
    if policy.within is not None:
        missed = [moment for moment in missed if now - moment <= policy.within]
    match policy.policy:
        case "skip":
            return fresh
        case "one":
            return fresh or missed[-1:]
        case "all":
            room = max(policy.most - len(fresh), 0)
            return [*(missed[-room:] if room else []), *fresh]
        case other:
            assert_never(other)


def upcoming(entry: Entry, cursor: float, now: float, count: int) -> list[float]:
    """The next moments after now, as a scheduler that has come to `cursor` will find them."""
    due, _ = due_moments(entry, cursor, now)
    found: list[float] = []
    moment = next_moment(entry, due[-1] if due else cursor)
    while moment is not None and len(found) < count:
        found.append(moment)
        moment = next_moment(entry, moment)
    return found


# Runs and their messages.


def run_id(name: str, revision: int, moment: float) -> TaskId:
    """The id of one run: every scheduler computes the same, and the broker stops the second copy at the door."""
    return derive(name, "schedule", revision, round(moment * 1_000_000))


def fire_of(standing: Standing, moment: float) -> Fire:
    entry, revision = standing.entry, standing.revision
    return Fire(entry=entry, revision=revision, moment=moment, id=run_id(entry.name, revision, moment))


def postings(fire: Fire, now: float) -> tuple[Posting, ...]:
    """The messages of one run."""
    entry = fire.entry
    not_before = now + entry.delay if entry.delay else None
    expires = None if entry.expires_after is None else now + entry.expires_after
    made = []
    for number, template in enumerate(entry.postings):
        key = fire.id if number == 0 else derive(fire.id, "copy", template.queue)
        encoded = template.encoded
        headers = {**encoded.headers, "id": key, NAME_HEADER: entry.name, BEAT_HEADER: True}
        headers[MOMENT_HEADER] = to_iso(fire.moment, MOMENT_HEADER)
        headers[OUR_HEADER] = {**headers[OUR_HEADER], "id": key}
        if not_before is not None:
            headers["eta"] = to_iso(not_before, "eta")
        if expires is not None:
            headers["expires"] = to_iso(expires, "expires")
        made.append(
            msgspec.structs.replace(
                template,
                id=key,
                encoded=msgspec.structs.replace(encoded, headers=headers),
                not_before=not_before,
                expires=template.expires if expires is None else expires,
            )
        )
    return tuple(made)


def local(moment: float, zone: str) -> datetime:
    """A moment on the wall clock of a zone."""
    return datetime.fromtimestamp(moment, UTC).astimezone(zone_of(zone))


def same_times(one: Entry, other: Entry) -> bool:
    """Whether both are due at the same moments; else a change begins with now."""
    return (one.timing, one.zone, one.start, one.end) == (other.timing, other.zone, other.start, other.end)
