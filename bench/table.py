"""`python -m bench table`: the written results as the Markdown of the README."""

import json
import statistics
from typing import Any

from bench.rounds import RESULTS

RATES = ("drain", "send one by one", "send in bulk", "send and drain", "drain, 10 kB of JSON", "drain, 1 ms of CPU")


def markdown() -> str:
    parts = [_sqlite(json.loads(path.read_text()))] if (path := RESULTS / "sqlite.json").exists() else []
    for name in ("startup", "mixed", "backlog"):
        path = RESULTS / f"{name}.json"
        if path.exists():
            parts.append(_drill(name, json.loads(path.read_text())))
    return "\n\n".join(parts)


def _sqlite(content: dict[str, Any]) -> str:
    names = list(content["drain"]["rounds"])
    lines = [
        f"{content['machine']['cpu']}, Python {content['machine']['python']}; medians of the rounds "
        "(tasks/s · us of CPU a task), and ours against theirs as the median of the rounds' ratios.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    lines += [_row(name, content[name], names) for name in RATES if name in content]
    if trip := content.get("round trip"):
        cells = [
            f"{_median(rows, 'p50_ms'):.1f} ms, {_median(rows, 'pss_mb'):.0f} MB" for rows in trip["rounds"].values()
        ]
        lines.append("| round trip p50, memory of the node | " + " | ".join(cells) + " |")
    lines += [
        "",
        "A send of ours is on the disk when it returns (`synchronous=FULL`); huey, flexiq and taskito do not wait for it.",
    ]
    return "\n".join(lines)


def _row(name: str, measured: dict[str, Any], systems: list[str]) -> str:
    cells = []
    for system in systems:
        rows = measured["rounds"].get(system)
        if not rows:
            cells.append("")
            continue
        ratio = measured["ratios"].get(system)
        against = f" ({ratio:.1f} x)" if ratio else ""
        cells.append(f"{_median(rows, 'per_second'):,.0f} · {_median(rows, 'cpu_ms_per_1k'):,.0f}{against}")
    return f"| {name} | " + " | ".join(cells) + " |"


def _drill(name: str, content: dict[str, Any]) -> str:
    lines = [f"`python -m bench {name}`:", "", "| | measured | promised |", "|---|---|---|"]
    for figure in content["figures"]:
        side = "at least" if figure["at_least"] else "at most"
        lines.append(f"| {figure['name']} | {figure['value']:,.2f} {figure['unit']} | {side} {figure['limit']:g} |")
    return "\n".join(lines)


def _median(rows: list[dict[str, float]], figure: str) -> float:
    return statistics.median(row[figure] for row in rows)
