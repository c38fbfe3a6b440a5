"""The one way of saying why a call does not run, or what became of it: `explain` asks each rule in turn.

Their order is the law: what is certain comes before what is likely, and a reason that would hold whatever the next one
says comes before it.
"""

from leveret.logic.insight import codes
from leveret.logic.insight.ended import dead, ended
from leveret.logic.insight.moments import clock, span
from leveret.logic.insight.waiting import (
    delayed,
    held,
    limited,
    not_sent,
    paused,
    queued,
    tried_again,
    unknown,
    unserved,
)
from leveret.model.insight.call import CallFacts, Explanation
from leveret.model.state import RETRY

_RULES = (dead, ended, held, limited, paused, tried_again, unknown, delayed, not_sent, unserved, queued)


def explain(facts: CallFacts) -> Explanation:
    """Say it, from facts."""
    if facts.broken:
        return Explanation(code=codes.UNREACHABLE, text=f"nobody can say: {facts.broken}")
    for rule in _RULES:
        found = rule(facts)
        if found is not None:
            return found
    return _nothing(facts)


def _nothing(facts: CallFacts) -> Explanation:
    stored = facts.stored
    if stored is not None and stored.replaced_by:
        text = f"replaced itself by {stored.replaced_by}, which goes on under its id and is on its way"
        return Explanation(code=codes.REPLACED, text=text, facts={"by": stored.replaced_by})
    if stored is not None and stored.state == RETRY:
        after = f" (after {stored.error})" if stored.error else ""
        text = f"its next attempt is due{after}, and its message is on its way to a worker"
        return Explanation(code=codes.QUEUED, text=text, facts={"queue": facts.queue})
    if stored is not None:
        text = f"its task said {stored.state} last, and its message is on its way or runs"
        return Explanation(code=codes.RUNNING, text=text, facts={"state": stored.state})
    unseen = "" if facts.sees else "it runs or waits for its time, which this broker does not show; or "
    return Explanation(
        code=codes.NOTHING, text=f"{unseen}nothing is known of it, because {_because(facts)}",
        facts={"queue": facts.queue or None},
    )  # fmt: skip


def _because(facts: CallFacts) -> str:
    if facts.ignored:
        return "nobody wants its result (ignore_result), and its message is gone: it has ended, or was purged"
    if not facts.stores:
        return "no results are kept here, and its message is gone: it has ended, or was purged"
    sent = "" if facts.made is None else f"by its id it was sent at {clock(facts.made, facts.now)}, "
    if facts.made is not None and facts.keeps is not None and facts.now - facts.made > facts.keeps:
        return f"{sent}and results are kept for {span(facts.keeps)} (result_expires): it has expired"
    return (
        f"{sent}no message and no result of it is here: its result is ignored or was forgotten, its message was "
        "purged, it is to be sent by another task that has not ended (the end of a chain, the body of a chord), or it "
        "was never sent to this broker"
    )
