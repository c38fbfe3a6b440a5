"""What POSIX has and Windows has not is not needed: a worker starts by spawn, its app is asked by a subprocess."""

import os
import subprocess
import sys

import pytest

BLOCK = """
import os, sys
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
del os.fork
if hasattr(os, "register_at_fork"):
    del os.register_at_fork
"""


@pytest.fixture
def run(project, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    (site / "sitecustomize.py").write_text(BLOCK)

    def call(*arguments: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": str(site)}
        command = [sys.executable, "-m", "leveret.cli", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return call


@pytest.mark.parametrize("pool", ["solo", "threads", "asyncio"])
def test_a_worker_runs_by_spawn(run, module, pool):
    name = module("print('noise at import')\n")
    assert run("call", "-A", name, "add", "1").returncode == 0

    worker = run("worker", "-A", name, "-P", pool, "-c", "2", "--burst", "-l", "info")

    assert worker.returncode == 0, worker.stderr
    assert "succeeded" in worker.stderr


def test_an_app_that_does_not_import_is_one_line_there_too(run, project):
    (project / "broken.py").write_text("1 / 0\n")

    answer = run("worker", "-A", "broken")

    assert answer.returncode == 1
    assert "broken.py, line 1: ZeroDivisionError" in answer.stderr
    assert answer.stderr.count("\n") == 1
