"""Joins that a Celery worker claimed, and left when it died."""

import json
from typing import Any

from leveret.links.redis import envelope
from leveret.links.redis.names import Names, without_lane
from leveret.links.redis.results.verbs import Verbs
from leveret.links.redis.scripts import Verb, ask, good, run, script

AT_ONCE = 50
"""Open joins looked at in one step."""


def finish(names: Names, results: Verbs) -> Verb[None]:
    """See to those whose seats are all taken and that nobody claims. Where the body has ended, its worker died before
    it could say so, and the join is over. Else a member's message is handed over once more, counted as a redelivery:
    whoever gets it finds what is stored of it, takes its seat again, and publishes what the join releases."""
    found: list[bytes] = yield from ask("joins_due", names.prefix, AT_ONCE)
    if not found:
        return
    left = [(join, *entry.partition(b"\n")[::2]) for join, entry in zip(found[::2], found[1::2], strict=True)]
    bodies = {join: body for join, _, raw in left if (body := _body_id(raw, names))}
    records = yield from results.get(tuple(bodies.values()))
    ended = {join for join, record in zip(bodies, records, strict=True) if record is not None and record.terminal}
    if ended:
        yield from run(script("fired"), [([join.decode() for join in ended], [results.remembered])])
    answers = yield [
        ("RPUSH", names.key(without_lane(name.decode())), envelope.changed(raw, counted=True))
        for join, name, raw in left
        if join not in ended
    ]
    for answer in answers:
        good(answer)


def _body_id(raw: bytes, names: Names) -> str:
    """The id of the body that a member carries; empty where it cannot be read here."""
    found = envelope.encoded(envelope.read(raw), raw, names)
    try:
        embed: Any = json.loads(found.body)[2]
        return str(embed["chord"]["options"]["task_id"])
    except (ValueError, LookupError, TypeError):
        return ""
