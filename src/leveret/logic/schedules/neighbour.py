"""Celery's beat may send the entries of our schedule too: what it is known by, and which moments are left to it.

It answers no `ping` unless asked to, so it is known by what it sends (docs/adr/0021).
"""

import json
from collections.abc import Mapping
from hashlib import sha1
from typing import Any

import msgspec

from leveret.logic.schedules.ticks import BEAT_HEADER, MOMENT_HEADER
from leveret.model.delivery import Encoded
from leveret.model.schedules.entry import Entry, Move
from leveret.model.schedules.timing import Every

SLACK_SECONDS = 2.0
"""How late what beat sends may be seen, and how long a first run waits for it."""
ANY = "*"


def is_from_beat(headers: Mapping[str, Any]) -> bool:
    """Whether Celery's beat sent a message, and no scheduler of ours."""
    return BEAT_HEADER in headers and MOMENT_HEADER not in headers


def mark(task: str, encoded: Encoded) -> str:
    """Task and arguments as one word; arguments that are not plain JSON are any arguments."""
    try:
        args, kwargs = json.loads(encoded.body)[:2]
    except (ValueError, TypeError):
        return f"{task} {ANY}"
    return f"{task} {sha1(json.dumps([args, kwargs], sort_keys=True).encode(), usedforsecurity=False).hexdigest()}"


def marks_of(entry: Entry) -> frozenset[str]:
    """What beat would be seen to send for an entry."""
    return frozenset([f"{entry.task} {ANY}", *(mark(entry.task, posting.encoded) for posting in entry.postings)])


def is_covered(entry: Entry, moment: float, seen: float | None) -> bool:
    """Whether a run of beat's that was seen at `seen` is the one of this moment: intervals begin anywhere, so there any
    run within the last interval is."""
    if seen is None:
        return False
    period = entry.timing.seconds if isinstance(entry.timing, Every) else 0.0
    return seen > moment - period - SLACK_SECONDS


def left(move: Move) -> Move:
    """The same decision without its runs: they are beat's."""
    return msgspec.structs.replace(move, fires=(), skipped=(), missed=False)
