"""The instruments of `leveret bench` and `leveret demo`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leveret.cli.benching import proc
from leveret.cli.benching.counter import Counter, Ticker
from leveret.cli.benching.demo_tasks import Journal
from leveret.cli.benching.measure import chunks, percentiles
from leveret.cli.benching.node import Node, NodeStopped

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def test_ticks_of_several_processes_add_up(tmp_path: Path) -> None:
    counter = Counter(tmp_path / "counter")
    code = f"from leveret.cli.benching.counter import Ticker; t = Ticker({str(counter.path)!r}); [t.tick() for _ in range(5)]"

    Ticker(str(counter.path)).tick()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], check=True)

    assert counter.value() == 11


def test_a_second_ticker_of_a_process_goes_on_counting(tmp_path: Path) -> None:
    counter = Counter(tmp_path / "counter")

    for _ in range(3):
        Ticker(str(counter.path)).tick()

    assert counter.value() == 3


@linux
def test_the_tree_of_a_process_has_its_children() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    members = proc.tree(os.getpid())
    child.communicate(b"\n")

    assert members[0] == os.getpid()
    assert child.pid in members
    assert proc.tree(child.pid) == (child.pid,)


@linux
def test_memory_counts_the_whole_tree() -> None:
    memory = proc.memory(os.getpid())

    assert memory.processes >= 1
    assert 0 < memory.pss_mb <= memory.rss_mb


def test_percentiles_are_milliseconds() -> None:
    latency = percentiles([number / 1000 for number in range(1, 101)])

    assert (latency.samples, round(latency.p50_ms), round(latency.p99_ms)) == (100, 51, 100)


def test_chunks_cover_the_count() -> None:
    assert list(chunks(2500)) == [1000, 1000, 500]


def test_a_node_that_ends_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = (sys.executable, "-c", "print('no such app', flush=True)")

    with pytest.raises(NodeStopped, match="no such app"), Node(command, {}, tmp_path / "log") as node:
        node.wait_for(Counter(tmp_path / "counter"), 1, timeout=20)


def test_the_journal_tells_what_runs_and_what_began_twice(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text("begin 1 100\nbegin 2 200\nend 1 100\nbegin 3 100\nbegin 2 300\n")

    journal = Journal(path)

    assert journal.running() == {200: 2, 100: 3, 300: 2}
    assert journal.runs() == {1: (100,), 2: (200, 300), 3: (100,)}
