"""The measurements themselves: each is a function from a `Rig` to figures."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from leveret.cli.benching import proc
from leveret.cli.benching.counter import Counter
from leveret.cli.benching.node import Node

WARM_UP = 0.05
"""The drain's window begins when this share has run: start-up is not measured."""
BULK = 1000
"""Messages in one `send_many`."""
IDLE_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """What a measurement drives. `send_many` is told how many to send; `node` makes a stopped worker."""

    send_one: Callable[[], Any]
    send_many: Callable[[int], Any]
    node: Callable[[], Node]
    counter: Counter
    timeout: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`cpu_ms_per_1k` is the CPU of every process of the measured side, in ms per 1,000 tasks (us per task)."""

    tasks: int
    per_second: float
    cpu_ms_per_1k: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    samples: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """A node that has nothing to do."""

    first_task_seconds: float
    idle_cpu_percent: float
    stop_seconds: float
    processes: int
    rss_mb: float
    pss_mb: float


def enqueue_one_by_one(rig: Rig, count: int) -> Rate:
    return _produce(count, lambda: [rig.send_one() for _ in range(count)])


def enqueue_in_bulk(rig: Rig, count: int) -> Rate:
    return _produce(count, lambda: [rig.send_many(size) for size in chunks(count)])


def drain(rig: Rig, waiting: int) -> Rate:
    """Start a node on a backlog of `waiting` messages."""
    done_before = rig.counter.value()
    last = waiting - max(8, waiting // 500)
    with rig.node() as node:
        node.wait_for(rig.counter, done_before + int(waiting * WARM_UP) + 1, rig.timeout)
        window = Window(node.pid, rig.counter)
        node.wait_for(rig.counter, done_before + last, rig.timeout)
        rate = window.close()
        node.wait_for(rig.counter, done_before + waiting, rig.timeout)
    return rate


def both_at_once(rig: Rig, count: int) -> Rate:
    """Send to a node that runs already; from the first send until the last task has run."""
    with _warm(rig) as node:
        done_before = rig.counter.value()
        window = Window(node.pid, rig.counter)
        for size in chunks(count):
            rig.send_many(size)
        node.wait_for(rig.counter, done_before + count, rig.timeout)
        return window.close()


def round_trips(rig: Rig, call: Callable[[], Any], samples: int) -> Latency:
    """One call at a time on a node that has nothing else to do."""
    with _warm(rig):
        for _ in range(20):
            call()
        return percentiles([_timed(call) for _ in range(samples)])


def footprint(rig: Rig) -> Footprint:
    """From the start of a node to its first waiting task, what it costs while it idles, and its warm stop."""
    rig.send_one()
    done_before = rig.counter.value()
    started = time.perf_counter()
    with rig.node() as node:
        node.wait_for(rig.counter, done_before + 1, rig.timeout)
        first = time.perf_counter() - started
        time.sleep(2.0)
        cpu_before = proc.cpu_seconds(node.pid)
        time.sleep(IDLE_SECONDS)
        idle = (proc.cpu_seconds(node.pid) - cpu_before) / IDLE_SECONDS * 100
        memory = proc.memory(node.pid)
        stop = node.stop()
    return Footprint(
        first_task_seconds=first,
        idle_cpu_percent=idle,
        stop_seconds=stop,
        processes=memory.processes,
        rss_mb=memory.rss_mb,
        pss_mb=memory.pss_mb,
    )


class Window:
    """Rate and CPU of a node between two moments."""

    def __init__(self, pid: int, counter: Counter) -> None:
        self._pid, self._counter = pid, counter
        self._cpu, self._started, self._done = proc.cpu_seconds(pid), time.perf_counter(), counter.value()

    def close(self) -> Rate:
        ended, done = time.perf_counter(), self._counter.value() - self._done
        cpu = proc.cpu_seconds(self._pid) - self._cpu
        return Rate(tasks=done, per_second=done / (ended - self._started), cpu_ms_per_1k=cpu / done * 1e6)


def percentiles(seconds: Sequence[float]) -> Latency:
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    return Latency(samples=len(ordered), p50_ms=at(0.5), p95_ms=at(0.95), p99_ms=at(0.99))


def chunks(count: int) -> Iterator[int]:
    for start in range(0, count, BULK):
        yield min(BULK, count - start)


def _produce(count: int, send: Callable[[], Any]) -> Rate:
    cpu, started = time.process_time(), time.perf_counter()
    send()
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    return Rate(tasks=count, per_second=count / wall, cpu_ms_per_1k=used / count * 1e6)


@contextmanager
def _warm(rig: Rig) -> Iterator[Node]:
    """A node that has run a task."""
    done_before = rig.counter.value()
    with rig.node() as node:
        rig.send_one()
        node.wait_for(rig.counter, done_before + 1, rig.timeout)
        yield node


def _timed(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
