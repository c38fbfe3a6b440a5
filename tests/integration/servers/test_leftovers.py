"""However a test run ends, its servers end with it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.availability import rabbitmq_home, redis_server, require
from tests.servers.host.ports import listens
from tests.servers.host.premises import ROOT
from tests.servers.host.processes import living
from tests.servers.rabbitmq import RabbitServer
from tests.servers.sharing import shared_rabbit

STARTER = """
    import sys, time
    from tests.servers.redis import RedisServer

    server = RedisServer().start()
    print(server.folder, server.pid, server.port, flush=True)
    time.sleep(60)
"""


def processes_of(folder: Path) -> list[int]:
    """List the processes that were started for a folder, by their command lines and environments."""
    if sys.platform != "linux":
        pytest.skip("/proc is needed to see whose processes these are")
    return [pid for pid in living() if str(folder).encode() in _words_of(pid)]


def _words_of(pid: int) -> bytes:
    try:
        return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
    except OSError:
        return b""


def until(true: Callable[[], bool], timeout: float = 10.0) -> None:
    """Wait for the end of processes that are not ours."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_server_leaves_its_folder_when_killed_and_nothing_when_stopped() -> None:
    require(rabbitmq_home)
    with RabbitServer() as server:
        site, ports = Path(server.address.site), (server.port, server.address.names_port)
        # The command line would leave a name server behind, if RabbitMQ's own way to start one were not shut.
        server.ctl("await_startup")
        running, listening = processes_of(site), [listens(port) for port in ports]

        server.kill()
        when_killed = [pid for pid in processes_of(site) if b"reaper" not in _words_of(pid)]
        kept = server.address.folder.exists()

    # Erlang, the process that starts its programs, the name server, the reaper.
    assert len(running) >= 4
    assert listening == [True, True]
    assert (when_killed, kept) == ([], True)
    assert (processes_of(site), site.exists()) == ([], False)
    assert [listens(port) for port in ports] == [False, False]


def test_servers_end_with_a_killed_test_run() -> None:
    require(redis_server)
    command = [sys.executable, "-c", textwrap.dedent(STARTER)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder, pid, port = run.stdout.readline().split()
        assert int(pid) in living()
        assert listens(int(port))

        os.kill(run.pid, signal.SIGKILL)

    until(lambda: not Path(folder).exists() and not processes_of(Path(folder)))
    assert int(pid) not in living()


def test_the_last_who_leaves_ends_a_shared_server(tmp_path: Path) -> None:
    require(rabbitmq_home)
    first, second = shared_rabbit(tmp_path), shared_rabbit(tmp_path)
    starter, joiner = first.__enter__(), second.__enter__()

    first.__exit__(None, None, None)

    assert joiner.address == starter.address
    assert joiner.evaluate("rabbit:is_running().") == "true"
    second.__exit__(None, None, None)
    site = Path(starter.address.site)
    until(lambda: not site.exists() and not processes_of(site))
