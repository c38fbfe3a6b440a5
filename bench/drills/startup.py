"""`python -m bench startup`: import, first task, memory, warm stop."""

import statistics
import subprocess
import time
from pathlib import Path

from bench import rounds, trial
from bench.drills.verdicts import Figure, show
from bench.systems import LEVERET, prepare

ROUNDS = 7


def run() -> None:
    prepare((LEVERET,))
    imports = [(_python("pass"), _python("import leveret")) for _ in range(ROUNDS)]
    nodes = [trial.round_trip(LEVERET) for _ in range(3)]

    def median(name: str) -> float:
        return statistics.median(node[name] for node in nodes)

    figures = [
        Figure("import leveret, over bare Python", statistics.median(b - a for a, b in imports) * 1000, 80, "ms"),
        Figure("start of `leveret worker -c 2` to first task done", median("first_task_seconds"), 0.8, "s"),
        Figure("memory of the node (PSS)", median("pss_mb"), 60, "MB"),
        Figure("warm stop of an idle node", median("stop_seconds"), 0.3, "s"),
        Figure("idle CPU of the node", median("idle_cpu_percent"), 1, "%"),
        Figure("round trip, p50", median("p50_ms"), 1.5, "ms"),
        Figure("round trip, p99", median("p99_ms"), 5, "ms"),
    ]
    rounds.write("startup", {"figures": show(figures), "nodes": nodes, "imports": imports})


def _python(code: str) -> float:
    python: Path = LEVERET.python
    started = time.perf_counter()
    subprocess.run([python, "-c", code], check=True)
    return time.perf_counter() - started
