"""Entries of the schedule as people and programs read them."""

import time
from typing import Any

from leveret.logic.schedules.ticks import local, upcoming
from leveret.logic.schedules.words import words
from leveret.model.schedules.entry import Standing


def row(standing: Standing) -> tuple[str, ...]:
    """One line of the list."""
    facts = summary(standing)
    call = f"{facts['task']}({facts['arguments']})"
    return facts["entry"], facts["when"], call, facts["next"], facts["last"], facts["state"]


def summary(standing: Standing) -> dict[str, str]:
    """What there is to say of an entry."""
    entry = standing.entry
    moments = [] if standing.paused else upcoming_text(standing, 1)
    last = standing.last_moment
    return {
        "entry": entry.name,
        "when": words(entry),
        "task": entry.task,
        "arguments": entry.arguments,
        "next": moments[0] if moments else "",
        "last": "" if last is None else written(last, entry.zone),
        "state": "paused" if standing.paused else "on" if moments else "over",
        "source": entry.source or "made at run time",
        "overlap": entry.overlap,
        "catch_up": entry.catch_up.policy,
        "revision": str(standing.revision),
    }


def details(standing: Standing, states: dict[str, str]) -> dict[str, Any]:
    """The same with the last runs, newest first."""
    runs = [
        {
            "moment": written(run.moment, standing.entry.zone),
            "late": f"{run.late:.3f} s",
            "outcome": run.outcome,
            "state": states.get(run.id, ""),
            "id": run.id,
        }
        for run in standing.runs
    ]
    return {**summary(standing), "runs": runs}


def upcoming_text(standing: Standing, count: int) -> list[str]:
    """When it is due next, in its zone."""
    zone = standing.entry.zone
    return [written(moment, zone) for moment in upcoming(standing.entry, standing.cursor, time.time(), count)]


def written(moment: float, zone: str) -> str:
    """A moment with its day of the week and its offset."""
    return f"{local(moment, zone):%a %Y-%m-%d %H:%M:%S %z}"
