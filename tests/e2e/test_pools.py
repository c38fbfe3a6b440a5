"""Pools that grow and shrink while they run; the worker is the tiny one of `entries.py`."""

import asyncio
import signal
import sys

import pytest
from tests.e2e.harness import Bench, alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forkserver, pidfd and /proc")


def test_a_pool_that_grows_runs_more_at_once_and_says_so_to_the_fleet(bench: Bench) -> None:
    node = bench.node(processes=1)
    node.expect("ready")
    bench.send("sleep:2", 3)
    bench.until(lambda: len(bench.history("start")) == 1)

    bench.resize(2)

    assert node.expect("resized")["slots"] == 3
    bench.until(lambda: len(bench.history("start")) == 3)
    assert not bench.history("done"), "three at once"
    bench.until(lambda: len(bench.history("child")) == 3)
    assert [one.slots for one in asyncio.run(bench.driver.leases().nodes())] == [3]
    assert node.stop() == 0


def test_a_pool_that_shrinks_lets_go_of_idle_processes_and_finishes_what_runs(bench: Bench) -> None:
    node = bench.node(processes=3)
    node.expect("ready")
    (long,) = bench.send("sleep:1")
    bench.until(lambda: bool(bench.history("start", long)))
    busy = int(bench.history("start", long)[0][2])

    bench.resize(-2)

    assert node.expect("resized")["slots"] == 1
    bench.until(lambda: [pid for _, pid, *_ in bench.history("child") if alive(int(pid))] == [str(busy)])
    assert not bench.history("done"), "what runs was not waited for"
    bench.until(lambda: bool(bench.history("done", long)))
    (after,) = bench.send("sleep:0.01")
    bench.until(lambda: bool(bench.history("done", after)))
    assert bench.history("start", after)[0][2] == str(busy)
    assert not [event for event in node.events if event["event"] == "death"]
    assert node.stop() == 0


def test_a_busy_process_that_must_go_ends_with_its_task(bench: Bench) -> None:
    node = bench.node(processes=2)
    node.expect("ready")
    ids = bench.send("sleep:0.6", 2)
    bench.until(lambda: len(bench.history("start")) == 2)

    bench.resize(-1)
    node.expect("resized")

    bench.until(lambda: all(bench.history("done", id) for id in ids))
    bench.until(lambda: len([pid for _, pid, *_ in bench.history("child") if alive(int(pid))]) == 1)
    assert len(bench.history("child")) == 2, "nobody takes its place"
    assert node.stop() == 0


def test_slots_of_one_process_are_changed_by_replacing_it(bench: Bench) -> None:
    node = bench.node(processes=1, slots=1, pool="threads")
    node.expect("ready")
    (long,) = bench.send("sleep:2.5")
    bench.until(lambda: bool(bench.history("start", long)))

    bench.resize(2)
    assert node.expect("resized")["slots"] == 3
    ids = bench.send("sleep:1", 3)

    bench.until(lambda: all(bench.history("start", id) for id in ids))
    assert not bench.history("done"), "three at once, beside the one in the old process"
    bench.until(lambda: all(bench.history("done", id) for id in (long, *ids)))
    assert len(bench.history("child")) == 2
    assert node.stop() == 0


def test_a_node_that_stops_starts_nobody_more(bench: Bench) -> None:
    node = bench.node(processes=1, say_every_seconds=0.1)
    node.expect("ready")
    (long,) = bench.send("sleep:1")
    bench.until(lambda: bool(bench.history("start", long)))

    node.process.send_signal(signal.SIGTERM)
    node.expect("waiting")
    bench.resize(2)

    assert node.expect("resized")["slots"] == 0
    assert node.process.wait(20) == 0
    assert len(bench.history("child")) == 1
    assert bench.history("done", long)


@pytest.mark.parametrize(("pool", "by", "says"), [("prefork", -1, "at least one slot"), ("solo", 1, "solo")])
def test_what_cannot_be_is_refused(bench: Bench, pool: str, by: int, says: str) -> None:
    node = bench.node(processes=1, pool=pool)
    node.expect("ready")

    bench.resize(by)

    node.expect("refused", error=says)
    assert node.stop() == 0
