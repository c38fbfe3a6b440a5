"""What the project promises on RabbitMQ and Redis, beside what was measured."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from bench.drills.verdicts import Figure
from bench.systems import LEVERET

BOTH_CORES_PERCENT, LEAN_US = 90.0, 30.0
"""Of the cores, what the node and the broker used themselves: the measuring takes some too."""


def rabbitmq(content: Mapping[str, Any]) -> list[Figure]:
    """Of what was measured; what was left out promises nothing."""
    figures = [*_against_peers(content, ON_RABBITMQ), *_of_the_limit(content), *_cpu(content), *_latency(content)]
    decoded = float(content["decoded_by_celery"])
    return [*figures, Figure("messages of 100 that real Celery decodes", decoded, 100, "", at_least=True)]


def redis(content: Mapping[str, Any]) -> list[Figure]:
    figures = [*_against_peers(content, ON_REDIS)]
    for name, most in {"drain": 35, "drain, results ignored": 22}.items():
        if _measured(content, name):
            figures.append(
                Figure(f"{name}: CPU of the node a task", _of_ours(content, name, "cpu_ms_per_1k"), most, "us")
            )
    if _measured(content, "send in bulk"):
        rate = _of_ours(content, "send in bulk", "per_second")
        figures.append(Figure("send in bulk: messages a second", rate, 100_000, "", at_least=True))
    if _measured(content, "send from 8 threads") and _measured(content, "send one by one"):
        times = _of_ours(content, "send from 8 threads", "per_second") / _of_ours(
            content, "send one by one", "per_second"
        )
        figures.append(Figure("send from 8 threads: rate over that of one", times, 2, "x", at_least=True))
    if _measured(content, "round trip"):
        for figure, limit in (("p50_ms", 0.8), ("p99_ms", 2.5)):
            figures.append(Figure(f"round trip, {figure[:3]}", _of_ours(content, "round trip", figure), limit, "ms"))
    return figures


ON_RABBITMQ = {
    ("drain", "celery"): 10,
    ("drain", "celery, tuned solo"): 7,
    ("drain", "dramatiq"): 6,
    ("drain, results over rpc", "celery, rpc"): 8,
    ("drain, results in Redis", "celery, redis"): 15,
}
ON_REDIS = {
    ("drain", "celery"): 50,
    ("drain", "dramatiq"): 12,
    ("drain", "taskiq, streams"): 12,
    ("drain", "huey, quiet"): 9,
    ("send one by one", "celery"): 4,
}


def _against_peers(content: Mapping[str, Any], promised: Mapping[tuple[str, str], float]) -> Iterator[Figure]:
    for (name, peer), times in promised.items():
        ratio = content.get(name, {}).get("ratios", {}).get(peer)
        if ratio is not None:
            yield Figure(f"{name}: rate over that of {peer}", ratio, times, "x", at_least=True)


def _of_the_limit(content: Mapping[str, Any]) -> Iterator[Figure]:
    promised = {
        ("drain", "limit: consume"): 60,
        ("send in bulk", "limit: publish"): 60,
        ("send one by one", "limit: publish"): 90,
    }
    for (name, limit), share in promised.items():
        ratio = content.get(name, {}).get("ratios", {}).get(limit)
        if ratio is not None:
            excuse = _full_cores(content) if name == "drain" else ""
            yield Figure(f"{name}: share of the broker's limit", ratio * 100, share, "%", at_least=True, or_else=excuse)


def _full_cores(content: Mapping[str, Any]) -> str:
    """The other way to keep the drain's promise: nothing is left to give, and little of it is ours."""
    busy, ours = (_of_ours(content, "drain", figure) for figure in ("used_percent", "cpu_ms_per_1k"))
    return (
        f"node and broker fill {busy:.0f} % of the cores at {ours:.0f} us"
        if busy >= BOTH_CORES_PERCENT and ours <= LEAN_US
        else ""
    )


def _cpu(content: Mapping[str, Any]) -> Iterator[Figure]:
    promised = {"drain": 40, "drain, results over rpc": 60, "drain, results in Redis": 60}
    for name, most in promised.items():
        if _measured(content, name):
            yield Figure(f"{name}: CPU of the node a task", _of_ours(content, name, "cpu_ms_per_1k"), most, "us")


def _latency(content: Mapping[str, Any]) -> Iterator[Figure]:
    if _measured(content, "round trip"):
        for figure, most in (("p50_ms", 1.3), ("p99_ms", 3.0)):
            yield Figure(f"round trip over rpc, {figure[:3]}", _of_ours(content, "round trip", figure), most, "ms")


def _measured(content: Mapping[str, Any], name: str) -> bool:
    return LEVERET.name in content.get(name, {}).get("rounds", {})


def _of_ours(content: Mapping[str, Any], name: str, figure: str) -> float:
    rows: list[dict[str, float]] = content[name]["rounds"][LEVERET.name]
    return median(row[figure] for row in rows)
