"""`python -m bench canvas`: compositions on Redis beside Celery's, and what is promised of them on Redis and SQLite."""

import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench import rounds, trial
from bench.against.measurement import Measurement, Selection, broken, measure
from bench.drills.verdicts import Figure, show
from bench.media import SQLITE, Medium, redis_alone
from bench.systems import CELERY, LEVERET, System, prepare, variant
from leveret.cli.benching import proc

OURS = variant(LEVERET, LEVERET.name, peer="canvas_leveret", venv="leveret")
THEIRS = variant(CELERY, "celery", peer="canvas_celery", venv="celery")
CHORD, GROUP, LARGE, LINKS = 1_000, 5_000, 10_000, 1_000
RESULT = "canvas-bench"
PEAK_MB = 400.0
"""For any one process: a chord of 10,000 has its values, its messages and its result in one."""


def run(selection: Selection) -> list[str]:
    """Starts a Redis, measures, and holds what was found against what is promised; answers what broke."""
    prepare((OURS, THEIRS))
    content: dict[str, object] = rounds.written(RESULT) if selection.only else {}
    with redis_alone() as redis:
        measure(RESULT, measurements(redis), selection, content)
    content["figures"] = show(promises(content))
    rounds.write(RESULT, content)
    return broken(content)


def measurements(redis: Medium) -> list[Measurement]:
    def both(what: str, count: int) -> rounds.Entries:
        return {one.name: partial(composed, one, redis, what=what, count=count) for one in (OURS, THEIRS)}

    def ours(medium: Medium, what: str, count: int) -> rounds.Entries:
        return {OURS.name: partial(composed, OURS, medium, what=what, count=count)}

    return [
        Measurement(name=f"chord of {CHORD:,}", entries=both("chord", CHORD)),
        Measurement(name=f"group of {GROUP:,} sent", entries=both("group", GROUP), figure="sent_per_second"),
        Measurement(name=f"chain of {LINKS:,}", entries=both("chain", LINKS), slow=True),
        Measurement(name=f"chord of {LARGE:,}", entries=ours(redis, "chord", LARGE)),
        Measurement(name=f"chain of {LINKS:,} on SQLite", entries=ours(SQLITE, "chain", LINKS)),
    ]


def composed(system: System, medium: Medium, *, what: str, count: int) -> trial.Figures:
    """A node that runs, and one composition sent to it and waited for; with the largest process of the node."""
    with trial.bed(system, medium) as it, it.node() as node:
        peak = Peak(node.pid)
        try:
            figures = it.run(what, str(count))
        finally:
            peak.stop()
        return {**figures, "node_peak_mb": peak.megabytes}


class Peak(threading.Thread):
    """Watches the largest resident process of a node."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._over = pid, threading.Event()
        self.megabytes = 0.0
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self.megabytes = max(self.megabytes, *(_highest(pid) for pid in proc.tree(self._pid)))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _highest(pid: int) -> float:
    """The most a process has had in memory so far, as the kernel noted it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)


def promises(content: Mapping[str, Any]) -> list[Figure]:
    """Of what was measured; what was left out promises nothing."""
    chord, group, large = f"chord of {CHORD:,}", f"group of {GROUP:,} sent", f"chord of {LARGE:,}"
    figures = []
    for name, limit in ((chord, 15.0), (group, 20.0)):
        ratio = content.get(name, {}).get("ratios", {}).get(THEIRS.name)
        if ratio is not None:
            figures.append(Figure(f"{name}: rate over that of Celery", ratio, limit, "x", at_least=True))
    for name, figure, limit, unit in (
        (large, "sent_seconds", 0.3, "s"),
        (large, "body_after_seconds", 1.0, "s"),
        (large, "node_peak_mb", PEAK_MB, "MB"),
        (large, "peak_mb", PEAK_MB, "MB"),
    ):
        if "rounds" in content.get(name, {}):
            figures.append(Figure(f"{name}: {_WORDS[figure]}", _ours(content, name, figure), limit, unit))
    for name in (f"chain of {LINKS:,}", f"chain of {LINKS:,} on SQLite"):
        if "rounds" in content.get(name, {}):
            figures.append(
                Figure(f"{name}: links a second", _ours(content, name, "per_second"), 1000, "", at_least=True)
            )
    return figures


_WORDS = {
    "sent_seconds": "sent",
    "body_after_seconds": "from its last member's end to its body's start",
    "node_peak_mb": "the node's largest process",
    "peak_mb": "the sender",
}


def _ours(content: Mapping[str, Any], name: str, figure: str) -> float:
    rows: list[dict[str, float]] = content[name]["rounds"][OURS.name]
    return median(row[figure] for row in rows)
