"""`python -m bench table`: the written results as the Markdown of the README."""

import statistics
from typing import Any

from bench.rounds import written

RATES = ("drain", "send one by one", "send in bulk", "send and drain", "drain, 10 kB of JSON", "drain, 1 ms of CPU")
LIMIT = "limit"
DRILLS = (
    "rabbitmq",
    "million",
    "startup",
    "mixed",
    "mixed-rabbitmq",
    "longshort",
    "longshort-rabbitmq",
    "backlog",
)


def markdown() -> str:
    comparisons = {"sqlite": _sqlite, "rabbitmq": _rabbitmq}
    parts = [show(content) for name, show in comparisons.items() if (content := _unbroken(written(name)))]
    parts += [_drill(name, content) for name in DRILLS if (content := written(name)).get("figures")]
    return "\n\n".join(parts)


def _unbroken(content: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in content.items() if not (isinstance(one, dict) and "broken" in one)}


def _sqlite(content: dict[str, Any]) -> str:
    names = list(content["drain"]["rounds"])
    lines = [_taken(content), *_head("", names)]
    lines += [_row(name, content[name], names) for name in RATES if name in content]
    if trip := content.get("round trip"):
        lines.append(_trip(trip, names))
    lines += [
        "",
        "A send of ours is on the disk when it returns (`synchronous=FULL`); huey, flexiq and taskito do not wait for it.",
    ]
    return "\n".join(lines)


def _rabbitmq(content: dict[str, Any]) -> str:
    measured = {name: _by_column(one) for name, one in content.items() if isinstance(one, dict) and "rounds" in one}
    limits = measured.pop("limits", None)
    names = list(dict.fromkeys(name for one in measured.values() for name in one["rounds"]))
    names = [name for name in names if name != LIMIT] + [name for name in names if name == LIMIT]
    rates = {name: one for name, one in measured.items() if name != "round trip"}
    lines = [_taken(content), *_head("RabbitMQ, 2 processes, no-op tasks", names)]
    lines += [_row(name, one, names) for name, one in rates.items()]
    if trip := measured.get("round trip"):
        lines.append(_trip(trip, names))
    return "\n".join([*lines, "", *_limits(limits["rounds"])] if limits else lines)


def _by_column(measurement: dict[str, Any]) -> dict[str, Any]:
    """Where Celery keeps its results is said by the measurement's name, and so is what the limit is one of."""

    def column(name: str) -> str:
        return LIMIT if name.startswith("limit:") else name.removesuffix(", rpc").removesuffix(", redis")

    rounds, ratios = measurement["rounds"], measurement["ratios"]
    return {
        "rounds": {column(name): rows for name, rows in rounds.items()},
        "ratios": {column(name): ratio for name, ratio in ratios.items()},
    }


def _limits(rounds: dict[str, Any]) -> list[str]:
    kinds = ("quorum", "classic")
    lines = _head("the broker's limit (messages/s · us of its CPU)", kinds)
    for name in dict.fromkeys(name.rpartition(", ")[0] for name in rounds):
        rows = [rounds[f"{name}, {kind}"] for kind in kinds]
        cells = [f"{_median(one, 'per_second'):,.0f} · {_median(one, 'broker_ms_per_1k'):,.0f}" for one in rows]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _taken(content: dict[str, Any]) -> str:
    return (
        f"{content['machine']['cpu']}, Python {content['machine']['python']}; medians of the rounds "
        "(tasks/s · us of CPU a task), and ours against theirs as the median of the rounds' ratios.\n"
    )


def _head(corner: str, names: list[str] | tuple[str, ...]) -> list[str]:
    return [f"| {corner} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]


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


def _trip(measured: dict[str, Any], systems: list[str]) -> str:
    found = [measured["rounds"].get(system) for system in systems]
    cells = [f"{_median(rows, 'p50_ms'):.1f} ms, {_median(rows, 'pss_mb'):.0f} MB" if rows else "" for rows in found]
    return "| round trip p50, memory of the node | " + " | ".join(cells) + " |"


def _drill(name: str, content: dict[str, Any]) -> str:
    lines = [f"`python -m bench {_command(name)}`:", "", "| | measured | promised |", "|---|---|---|"]
    for figure in content["figures"]:
        side = "at least" if figure["at_least"] else "at most"
        other = f", or: {figure['or_else']}" if figure.get("or_else") else ""
        measured = f"{figure['value']:,.2f} {figure['unit']}"
        lines.append(f"| {figure['name']} | {measured} | {side} {figure['limit']:g}{other} |")
    return "\n".join(lines)


def _command(name: str) -> str:
    drill, _, broker = name.partition("-")
    return f"{drill} --broker {broker}" if broker else drill


def _median(rows: list[dict[str, float]], figure: str) -> float:
    return statistics.median(row[figure] for row in rows)
