"""Prometheus's text format (version 0.0.4), by hand: a supervisor needs no package for it."""

from collections import Counter
from collections.abc import Iterable, Mapping

from leveret.model.delivery import QueueCounts
from leveret.model.telling.tally import BUCKETS, TaskTally
from leveret.supervisor.telling.queues import age, consumers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    """One metric with all its samples; nothing where there is none."""
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]) + "\n" if lines else ""


def tasks(tallies: Iterable[TaskTally]) -> str:
    """Runs by task and outcome, and how long they took."""
    tallies = sorted(tallies, key=lambda one: (one.task, one.outcome))
    ended = family(
        "leveret_tasks_total",
        "counter",
        "Runs that ended on this node, by task and outcome.",
        [({"task": one.task, "outcome": one.outcome}, one.count) for one in tallies],
    )
    lines = [line for one in tallies for line in _histogram("leveret_task_runtime_seconds", one)]
    if not lines:
        return ended
    head = [
        "# HELP leveret_task_runtime_seconds How long runs took, by task and outcome.",
        "# TYPE leveret_task_runtime_seconds histogram",
    ]
    return ended + "\n".join([*head, *lines]) + "\n"


def _histogram(name: str, tally: TaskTally) -> list[str]:
    labels = {"task": tally.task, "outcome": tally.outcome}
    lines, so_far = [], 0
    for end, count in zip((*map(_number, BUCKETS), "+Inf"), tally.buckets, strict=True):
        so_far += count
        lines.append(f"{name}_bucket{_labels({**labels, 'le': end})} {so_far}")
    lines.append(f"{name}_sum{_labels(labels)} {_number(tally.seconds)}")
    lines.append(f"{name}_count{_labels(labels)} {so_far}")
    return lines


def queues(counts: Iterable[QueueCounts], served: Counter[str], now: float) -> str:
    """What waits, for how long, and who consumes it. `served`: live nodes by queue."""
    counts = sorted(counts, key=lambda one: one.queue)
    states = [
        ({"queue": one.queue, "state": state}, float(value))
        for one in counts
        for state, value in (("ready", one.ready), ("delayed", one.delayed), ("claimed", one.claimed))
        if value is not None
    ]
    ages = [({"queue": one.queue}, age(one, now)) for one in counts if not one.ready or one.oldest is not None]
    return (
        family("leveret_queue_messages", "gauge", "Messages in a queue, by state.", states)
        + family("leveret_queue_latency_seconds", "gauge", "Age of the oldest message that is ready; 0: none is.", ages)
        + family(
            "leveret_dead_letters",
            "gauge",
            "Messages parked as dead letters.",
            [({"queue": one.queue}, float(one.dead)) for one in counts],
        )
        + family(
            "leveret_queue_consumers",
            "gauge",
            "Who consumes a queue: live nodes, or consumers where the broker counts them.",
            [({"queue": one.queue}, float(consumers(one, served))) for one in counts],
        )
    )


def _labels(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}" if labels else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
