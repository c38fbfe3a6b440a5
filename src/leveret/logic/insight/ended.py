"""What became of a call that has ended."""

from leveret.logic.insight import codes
from leveret.logic.insight.moments import clock, span
from leveret.logic.limiting.unique import read_lost_to
from leveret.model.delivery import Place
from leveret.model.insight.call import CallFacts, Explanation, Revoked, Stored
from leveret.model.state import FAILURE, READY_STATES, REVOKED, SUCCESS

_REJECT = "Reject: "
_REVOKED_ERROR = "TaskRevokedError: "


def ended(facts: CallFacts) -> Explanation | None:
    stored = facts.stored
    if stored is None or not (stored.terminal or stored.state in READY_STATES):
        return None
    if stored.tombstone and not stored.error:
        return _ignored(stored)
    match stored.state:
        case "SUCCESS":
            return Explanation(code=codes.SUCCEEDED, text=f"succeeded{_when(facts, stored)}", facts=_told(stored))
        case "FAILURE":
            return _failed(facts, stored)
        case _:
            return _revoked(facts, stored)


def dead(facts: CallFacts) -> Explanation | None:
    """Of a dead letter: its message could not be run, whatever is stored of it."""
    place = facts.place
    if place is None or place.place is not Place.DEAD:
        return None
    when = "" if place.since is None else f" at {clock(place.since, facts.now)}"
    redrive = f"leveret dead redrive {facts.id}"
    deaths = [f"{charge.reason} at {clock(charge.at, facts.now)}" for charge in place.charges]
    return Explanation(
        code=codes.DEAD,
        text=f"its message is a dead letter of queue {place.queue!r}{when}: {_died(facts)}",
        also=(*([f"the deaths: {', '.join(deaths)}"] if deaths else []), f"send it again with `{redrive}`"),
        facts={"queue": place.queue, "reason": place.reason, "at": place.since, "redrive": redrive},
    )


def _died(facts: CallFacts) -> str:
    """`killed 3 processes by signal 11`, or the reason as it was written."""
    assert facts.place is not None
    charges = facts.place.charges
    if len(charges) < 2:
        # Parked by one who only found the outcome stored: that says what it failed with.
        known = facts.stored is not None and facts.place.reason == "failed" and facts.stored.error
        return f"failed: {known}" if known else facts.place.reason
    reasons = list(dict.fromkeys(charge.reason for charge in charges))
    return f"it killed {len(charges)} processes by {' and '.join(reasons)}"


def _when(facts: CallFacts, stored: Stored) -> str:
    """` at 12:03:07 on node in 0.25 s, 2.1 s after it was sent, at attempt 2`."""
    words = ""
    if stored.at is not None:
        words += f" at {clock(stored.at, facts.now)}"
    if stored.worker:
        words += f" on {stored.worker}"
    if stored.seconds is not None:
        words += f" in {span(stored.seconds)}"
    if stored.at is not None and facts.made is not None and stored.at >= facts.made:
        words += f", {span(stored.at - facts.made)} after it was sent"
    return f"{words}, at attempt {stored.attempt + 1}" if stored.attempt else words


def _told(stored: Stored) -> dict[str, object]:
    told = {
        "at": stored.at, "node": stored.worker or None, "seconds": stored.seconds, "attempt": stored.attempt + 1,
        "error": stored.error or None,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def _ignored(stored: Stored) -> Explanation:
    how = {SUCCESS: "succeeded", FAILURE: "failed", REVOKED: "was revoked or expired"}.get(stored.state, "ended")
    return Explanation(
        code=codes.IGNORED,
        text=f"{how}; its result was not kept, for nobody wanted it (ignore_result)",
        facts=_told(stored),
    )


def _failed(facts: CallFacts, stored: Stored) -> Explanation:
    if stored.error.startswith(_REJECT):
        why = stored.error.removeprefix(_REJECT)
        return Explanation(code=codes.REJECTED, text=f"rejected{_when(facts, stored)}: {why}", facts=_told(stored))
    return Explanation(code=codes.FAILED, text=f"failed{_when(facts, stored)}: {stored.error}", facts=_told(stored))


def _revoked(facts: CallFacts, stored: Stored) -> Explanation:
    why = stored.error.removeprefix(_REVOKED_ERROR)
    told = _told(stored)
    if other := read_lost_to(why):
        text = f"not run: {other} took its place (they share a unique key)"
        return Explanation(code=codes.SUPERSEDED, text=text, facts={**told, "by": other})
    if why == "expired":
        when = "" if stored.at is None else f" at {clock(stored.at, facts.now)}"
        text = f"not run: its time was over (expires) when a worker came to it{when}"
        return Explanation(code=codes.EXPIRED, text=text, facts=told)
    if why not in ("revoked", "terminated") and facts.revoked is None:
        text = f"revoked{_when(facts, stored)}: {why}"
        return Explanation(code=codes.CANCELLED, text=text, facts=told)
    return Explanation(code=codes.REVOKED, text=_by_whom(facts, stored, facts.revoked), facts=_order(told, facts))


def _by_whom(facts: CallFacts, stored: Stored, order: Revoked | None) -> str:
    if order is None:
        return f"revoked{_when(facts, stored)}"
    what = {"id": "by its id", "group": f"with its group {order.name}", "stamp": f"by its stamp {order.name}"}
    at = order.at or stored.at
    when = "" if at is None else f" at {clock(at, facts.now)}"
    return f"revoked {what[order.kind]}{when}" + (f", by {order.by}" if order.by else "")


def _order(told: dict[str, object], facts: CallFacts) -> dict[str, object]:
    if facts.revoked is None:
        return told
    return {**told, "kind": facts.revoked.kind, "name": facts.revoked.name, "by": facts.revoked.by or None}
