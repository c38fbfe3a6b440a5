"""Why a call that has not ended does not run."""

from difflib import get_close_matches

from leveret.logic.insight import codes
from leveret.logic.insight.moments import clock, span, until
from leveret.model.delivery import Place, Whereabouts
from leveret.model.insight.call import CallFacts, Explanation, Held
from leveret.model.limiting.gate import Reason
from leveret.model.state import RETRY

UNKNOWN_MINUTES = 15
LATE_SECONDS = 30.0
"""After what it was told a message may be so late to be asked for again: its queue may be long."""
_BOUNDS = {
    "rate": (codes.RATE, "waits for rate limit {key}"),
    "slots": (codes.SLOTS, "waits for a concurrency slot of {key}"),
    "breaker": (codes.BREAKER, "the breaker of {key} is open"),
    "budget": (codes.BUDGET, "a retry beyond the budget of {key}"),
    "unique": (codes.UNIQUE, "waits for unique key {key}"),
}


def held(facts: CallFacts) -> Explanation | None:
    """Somebody has it."""
    place = facts.place
    if facts.held is not None:
        return _with(facts, facts.held)
    if place is None or place.place is not Place.CLAIMED:
        return None
    node = place.node or "a worker"
    if facts.stored is not None and facts.stored.state == "STARTED":
        return _with(facts, Held(node=node, active=True))
    text = f"claimed by a process of {node}"
    also = (f"{node} did not say whether it runs: it is busy, just gone, or carries no remote control",)
    return Explanation(code=codes.CLAIMED, text=text, also=also if facts.silent else (), facts={"node": place.node})


def _with(facts: CallFacts, one: Held) -> Explanation:
    told = {"node": one.node, "since": one.since, "pid": one.pid, "attempt": attempt_of(facts)}
    if not one.active:
        return Explanation(
            code=codes.CLAIMED,
            text=f"claimed by a process of {one.node}, and not begun: its slots run other tasks",
            facts=told,
        )
    since = "" if one.since is None else f" since {clock(one.since, facts.now)} ({span(facts.now - one.since)})"
    return Explanation(code=codes.RUNNING, text=f"runs on {one.node}{since}, attempt {told['attempt']}", facts=told)


def attempt_of(facts: CallFacts) -> int:
    """Which attempt is to come, or runs: 1 is the first."""
    stored = facts.stored
    if stored is not None:
        return stored.attempt + (2 if stored.state == RETRY and not stored.replaced_by else 1)
    retries = None if facts.place is None or facts.place.encoded is None else _headers(facts.place).get("retries")
    return (retries if isinstance(retries, int) else 0) + 1


def _headers(place: Whereabouts) -> dict[str, object]:
    return {} if place.encoded is None else dict(place.encoded.headers)


def limited(facts: CallFacts) -> Explanation | None:
    reason = facts.reason
    if reason is None or reason.until < facts.now - LATE_SECONDS:
        # Its time came long ago: what it waits for now is its turn in the queue.
        return None
    code, words = _BOUNDS.get(reason.bound, (reason.bound, f"waits for {reason.bound} {{key}}"))
    ahead = f", {reason.ahead} ahead of it in that line" if reason.ahead else ""
    told = {
        "key": reason.key, "until": reason.until, "ahead": reason.ahead, "decided": reason.at,
        "attempt": attempt_of(facts),
    }  # fmt: skip
    return Explanation(
        code=code,
        text=f"{words.format(key=_key(reason))} {until(reason.until, facts.now)}{ahead}",
        also=_retry_note(facts),
        facts=told,
    )


def _key(reason: Reason) -> str:
    """`task:value` as a person reads it."""
    return f"`{reason.key}`"


def _retry_note(facts: CallFacts) -> tuple[str, ...]:
    stored = facts.stored
    if stored is None or stored.state != RETRY or not stored.error:
        return ()
    return (f"it is {_attempt(facts)}, after {stored.error}",)


def paused(facts: CallFacts) -> Explanation | None:
    if not facts.pauses:
        return None
    first = facts.pauses[0]
    what = f"queue {first.name!r} is" if first.kind == "queue" else f"tasks of type {first.name!r} are"
    by = f" by {first.by}" if first.by else ""
    code = codes.PAUSED_QUEUE if first.kind == "queue" else codes.PAUSED_TASK
    later = [one.text for one in (tried_again(facts), delayed(facts)) if one is not None][:1]
    return Explanation(
        code=code,
        text=f"{what} paused{by} since {clock(first.since, facts.now)}",
        also=(*later, f"`leveret resume --{first.kind} {first.name}` lets it go on"),
        facts={"kind": first.kind, "name": first.name, "since": first.since, "by": first.by or None},
    )


def tried_again(facts: CallFacts) -> Explanation | None:
    """It failed, and the next attempt is not due."""
    stored, place = facts.stored, facts.place
    if stored is None or stored.state != RETRY or stored.replaced_by:
        return None
    at = place.due if place is not None and place.due is not None else stored.not_before
    if at is None or at <= facts.now:
        return None
    after = f", after {stored.error}" if stored.error else ""
    return Explanation(
        code=codes.RETRY,
        text=f"is tried again: {_attempt(facts)} at {clock(at, facts.now)} (in {span(at - facts.now)}){after}",
        also=_nobody(facts),
        facts={"attempt": attempt_of(facts), "until": at, "max_retries": stored.max_retries, "error": stored.error},
    )


def _nobody(facts: CallFacts) -> tuple[str, ...]:
    """That its time will be of no use."""
    found = unserved(facts)
    return () if found is None else (f"and {found.text}",)


def _attempt(facts: CallFacts) -> str:
    most = None if facts.stored is None else facts.stored.max_retries
    return f"attempt {attempt_of(facts)}" + ("" if most is None else f" of {most + 1}")


def unknown(facts: CallFacts) -> Explanation | None:
    """Its queue is consumed, by nobody who has such a task."""
    if not facts.task or not facts.tasks or facts.task in facts.tasks:
        return None
    near = get_close_matches(facts.task, sorted(facts.tasks), n=3, cutoff=0.5)
    like = f" (the nearest they have: {', '.join(near)})" if near else ""
    return Explanation(
        code=codes.UNKNOWN_TASK,
        text=f"no worker that consumes {_queue(facts)} has a task {facts.task!r}{like}; its message is parked until "
        f"one has, for {UNKNOWN_MINUTES} minutes at most",
        facts={"task": facts.task, "queue": facts.queue, "nearest": near, "nodes": facts.consumers},
    )


def delayed(facts: CallFacts) -> Explanation | None:
    due = None if facts.place is None else facts.place.due
    if due is None or due <= facts.now:
        return None
    return Explanation(
        code=codes.DELAYED,
        text=f"delayed {until(due, facts.now)}, by its countdown or ETA",
        also=_nobody(facts),
        facts={"until": due, "queue": facts.queue},
    )


def not_sent(facts: CallFacts) -> Explanation | None:
    """Something has to end before it."""
    before = facts.before
    if before is None or facts.place is not None or facts.held is not None:
        return None
    told = {"id": before.id, "size": before.size, "done": before.done, "failed": before.failed}
    if not before.size:
        text = f"follows {before.label or before.id} ({before.state}), which has not ended"
        return Explanation(code=codes.FOLLOWS, text=text, facts={"id": before.id, "state": before.state})
    failed = f"; failed: {', '.join(before.failed)}" if before.failed else ""
    text = f"waits for the other members of its chord: {before.done} of {before.size} have ended{failed}"
    return Explanation(code=codes.CHORD, text=text, facts=told)


def unserved(facts: CallFacts) -> Explanation | None:
    if facts.consumers is None or facts.consumers or not _may_wait(facts):
        return None
    return Explanation(
        code=codes.NO_CONSUMER,
        text=f"no worker consumes {_queue(facts)}",
        also=(f"start one with `leveret worker -Q {facts.queue}`",) if facts.queue else (),
        facts={"queue": facts.queue, "waiting": facts.waiting},
    )


def queued(facts: CallFacts) -> Explanation | None:
    place = facts.place
    told = {"queue": facts.queue, "nodes": facts.consumers, "waiting": facts.waiting}
    if place is not None and place.place is Place.READY:
        if not place.ahead:
            text = f"the next one in {_queue(facts)}: it begins as soon as a slot is free"
        else:
            text = f"{place.ahead} ahead of it in {_queue(facts)}"
        return Explanation(code=codes.QUEUED, text=text, facts={**told, "ahead": place.ahead or 0})
    if place is not None and place.place is Place.DELAYED:
        return Explanation(
            code=codes.QUEUED, text=f"its time has come: it is about to be ready in {_queue(facts)}", facts=told
        )
    if not facts.waiting or not _may_wait(facts):
        return None
    if facts.looked_through and facts.waiting <= facts.looked_through:
        return None
    text = f"{facts.waiting} messages wait in {_queue(facts)}"
    seen = f"; it is not among the first {facts.looked_through}" if facts.looked_through else ""
    return Explanation(code=codes.QUEUED, text=text + seen, facts=told)


def _may_wait(facts: CallFacts) -> bool:
    """Whether it may be among what is ready: it is, or its queue is known and nobody could look."""
    if facts.place is not None:
        return facts.place.place is not Place.DEAD
    return bool(facts.queue) and (not facts.looked_through or bool(facts.waiting))


def _queue(facts: CallFacts) -> str:
    return f"queue {facts.queue!r} of {facts.address}" if facts.queue else facts.address or "its broker"
