"""Interleaved rounds: every system once per round, so that a noisy neighbour strikes all of them alike."""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.systems import BENCH, LEVERET
from bench.trial import Figures

RESULTS = BENCH / "results"
Rounds = dict[str, list[Figures]]
Entries = Mapping[str, Callable[[], Figures]]
"""What is measured side by side, by name: systems, and the raw limits beside them."""


def play(title: str, entries: Entries, rounds: int) -> Rounds:
    """All rounds of one measurement, printed as they end."""
    print(f"\n{title}", flush=True)
    found: Rounds = {name: [] for name in entries}
    for number in range(rounds):
        for name, run in entries.items():
            figures = run()
            found[name].append(figures)
            print(f"  round {number + 1}  {name:<28} {describe(figures)}", flush=True)
    return found


def describe(figures: Figures) -> str:
    if "per_second" in figures:
        broker = figures.get("broker_ms_per_1k")
        beside = f"  {broker:>7,.1f} us the broker's" if broker else ""
        busy = (
            "  {used_percent:.0f} of {machine_busy_percent:.0f} % busy".format(**figures)
            if "used_percent" in figures
            else ""
        )
        return f"{figures['per_second']:>10,.0f}/s  {figures['cpu_ms_per_1k']:>9,.1f} us CPU a task{beside}{busy}"
    idle = f"idle {figures['idle_cpu_percent']:.1f} % CPU, {figures['pss_mb']:.0f} MB PSS"
    return f"{latency(figures)}  {idle}"


def latency(figures: Figures) -> str:
    return "  ".join(f"{name[:3]} {figures[name]:.2f} ms" for name in ("p50_ms", "p95_ms", "p99_ms"))


def median(found: Rounds, system: str, figure: str) -> float:
    return statistics.median(figures[figure] for figures in found[system])


def ratios(found: Rounds, figure: str = "per_second") -> dict[str, float]:
    """Ours against each other one: the median of the rounds' own ratios, never the ratio of medians."""
    ours = found.get(LEVERET.name, [])
    return {
        name: statistics.median(mine[figure] / theirs[figure] for mine, theirs in zip(ours, rows, strict=True))
        for name, rows in found.items()
        if ours and name != LEVERET.name
    }


def summarise(title: str, found: Rounds, figure: str = "per_second") -> dict[str, float]:
    found_ratios = ratios(found, figure)
    if found_ratios:
        print(f"{title}: median of the ratios of {len(found[LEVERET.name])} rounds")
    for name, ratio in found_ratios.items():
        print(f"  {ratio:8.3f} x {name}")
    return found_ratios


def write(name: str, content: Mapping[str, object]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**content, "machine": machine()}, indent=1) + "\n")
    print(f"written to {path.relative_to(BENCH.parent)}")
    return path


def named(drill: str, medium: str) -> str:
    """A drill's file is its own on every medium; SQLite, the first, is not in the name."""
    return drill if medium == "sqlite" else f"{drill}-{medium}"


def written(name: str) -> dict[str, object]:
    """What an earlier run wrote; empty when there was none."""
    path = RESULTS / f"{name}.json"
    content: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    return content


def machine() -> dict[str, str]:
    """Where a figure was taken: without it the figure says nothing."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=BENCH, check=False
    )
    return {
        "cpu": f"{len(models)} x {models[0]}" if models else platform.processor(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "commit": commit.stdout.strip(),
    }
