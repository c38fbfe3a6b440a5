"""`python -m bench telling`: what events and metrics cost a worker process, in CPU per task.

Nothing on, events, metrics, both, one after the other in each round. The task does nothing, so that this is the worst
case.
"""

from bench import rounds
from bench.drills.processor import Kind, medians, more, rounds_of
from bench.drills.verdicts import Figure, show

TASKS = 40_000
LIMIT = 15.0
"""Percent, for events and metrics each; both together are told too."""
EVENTS, METRICS = ("-E",), ("--metrics-port", "29808")
KINDS = {"off": Kind(), "events": Kind(EVENTS), "metrics": Kind(METRICS), "both": Kind(EVENTS + METRICS)}


def run(count: int, broker: str) -> None:
    found = rounds_of(KINDS, count, TASKS, broker)
    figures = [
        Figure(f"{name}: more CPU per task", more(values, found["off"]), LIMIT, "%")
        for name, values in found.items()
        if name != "off"
    ]
    rounds.write(f"telling-{broker}", {"figures": show(figures), "us_per_task": medians(found), "rounds": found})
