"""Supervising where POSIX is not: no fork, none of its modules, no descriptors that are passed on."""

import asyncio
import textwrap
from pathlib import Path

from tests.e2e.harness import Bench

from leveret.model.control import Broken
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.supervisor.nursery import Spawner

BLOCKED = """
    # asyncio itself needs fcntl where it finds itself on Linux; everything after it does without.
    import asyncio, os, sys

    for name in ("fcntl", "resource", "pwd", "grp", "termios"):
        sys.modules[name] = None
    for name in ("fork", "forkpty", "register_at_fork", "pidfd_open"):
        delattr(os, name)
"""


def test_a_node_works_without_posix(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(textwrap.dedent(BLOCKED))
    path = f"{tmp_path / 'site'}:{bench.environment['PYTHONPATH']}"
    killer = bench.send("kill")[0]
    bench.send("sleep:0.01", 5)

    node = bench.node({"PYTHONPATH": path}, processes=2)

    node.expect("ready")
    bench.until(lambda: len(bench.history("done")) == 5 and bool(bench.history("parked", killer)))
    assert len(bench.history("start", killer)) == 3
    assert node.stop() == 0


def test_a_child_without_descriptors_comes_by_the_loopback() -> None:
    node = Node(name="n", incarnation="1", boot="b", pid=1)

    async def scenario() -> object:
        launched = await Spawner("no.such.entry", by_loopback=True).launch(WorkerOptions(node=node))
        said = await launched.channel.read()
        launched.channel.close()
        assert launched.poll is not None
        while launched.poll() is None:  # noqa: ASYNC110 - a process has no event everywhere
            await asyncio.sleep(0.01)
        return said

    said = asyncio.run(scenario())

    assert isinstance(said, Broken)
    assert said.permanent
    assert "No module named 'no'" in said.error
