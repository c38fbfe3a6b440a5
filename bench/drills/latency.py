"""`python -m bench latency`: how much of its drain a node loses when Redis is 2 ms further away.

Both are measured through a forwarder of the bench's own, once without a delay: it costs what it costs in both.
"""

import statistics
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import rounds, trial
from bench.drills.verdicts import Figure, show
from bench.line import line
from bench.media import RedisAlone, redis_alone
from bench.systems import LEVERET, prepare, variant

STORING = variant(LEVERET, LEVERET.name, tasks=60_000)
ADDED_MS = (2.0, 4.0)
"""To a round trip, half of it each way. The first is what is promised of."""
MOST_LOST = 30.0


class Away:
    """`redis`, as much further away as `seconds` of each way."""

    name = "redis"

    def __init__(self, running: RedisAlone, seconds: float) -> None:
        self._running, self._seconds = running, seconds

    @contextmanager
    def place(self, folder: Path) -> Iterator[Mapping[str, str]]:
        redis = self._running.redis
        redis.empty()
        with line(redis.port, self._seconds) as way:
            url = redis.url.replace(f":{redis.port}", f":{way.port}")
            yield {"LEVERET_BROKER_URL": url, "BENCH_BROKER_URL": url, "BENCH_REDIS_URL": url}

    def cpu_seconds(self) -> float:
        return self._running.cpu_seconds()


def run(count: int) -> None:
    prepare((LEVERET,))
    found: dict[float, list[trial.Figures]] = {added: [] for added in (0.0, *ADDED_MS)}
    with redis_alone() as running:
        for number in range(count):
            for added, figures in found.items():
                figures.append(trial.drain(STORING, Away(running, added / 2000)))
                print(f"round {number + 1}: +{added:g} ms: {figures[-1]['per_second']:,.0f}/s", flush=True)
    lost = {added: lost_percent(found[0.0], found[added]) for added in ADDED_MS}
    figures = [Figure(f"drain lost with {ADDED_MS[0]:g} ms more to Redis", lost[ADDED_MS[0]], MOST_LOST, "%")]
    content = {f"+{added:g} ms": list(map(dict, one)) for added, one in found.items()}
    rounds.write("redis-latency", {"figures": show(figures), "lost_percent": lost, **content})


def lost_percent(near: list[trial.Figures], far: list[trial.Figures]) -> float:
    """Of the rate, the median over the rounds."""
    ratios = [there["per_second"] / here["per_second"] for here, there in zip(near, far, strict=True)]
    return (1 - statistics.median(ratios)) * 100
