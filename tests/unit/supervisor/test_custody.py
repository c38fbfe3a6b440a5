"""Sockets that outlive their processes, with real processes and real signals."""

import os
import select
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leveret.supervisor.deaths.custody import Custody, entrust

pytestmark = pytest.mark.skipif(not hasattr(socket, "send_fds") or not hasattr(os, "fork"), reason="needs POSIX")
SECONDS = 10.0


class Heard:
    """What a supervisor would have logged."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, level: str, text: str, **fields: Any) -> None:
        self.lines.append(f"{level}: {text}")


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[Custody]:
    made = Custody(tmp_path, Heard())
    yield made
    made.close()


@pytest.fixture
def broker() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SECONDS)
        yield server


class Worker:
    """A process that connects to the broker, entrusts its socket, and does nothing more."""

    def __init__(self, folder: Path, broker: socket.socket, *sessions: str) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._live(folder, broker.getsockname(), sessions)
            finally:
                os._exit(1)
        self.connections = [broker.accept()[0] for _ in sessions]
        for connection in self.connections:
            connection.settimeout(SECONDS)
            assert connection.recv(1) == b"!"

    def _live(self, folder: Path, address: Any, sessions: tuple[str, ...]) -> None:
        held = []
        for session in sessions:
            sock = socket.create_connection(address)
            held.append(sock)
            entrust(folder, session, sock)
            sock.sendall(b"!")
        signal.pause()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)


@contextmanager
def working(folder: Path, broker: socket.socket, *sessions: str) -> Iterator[Worker]:
    worker = Worker(folder, broker, *sessions)
    try:
        yield worker
    finally:
        try:
            worker.kill()
        except (ProcessLookupError, ChildProcessError):
            pass
        for connection in worker.connections:
            connection.close()


def ended(connection: socket.socket, seconds: float = SECONDS) -> bool:
    """Whether the broker sees the end of it."""
    if not select.select([connection], [], [], seconds)[0]:
        return False
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def goes_on(connection: socket.socket) -> bool:
    # Looked at twice, for a moment: that nothing comes cannot be waited for.
    return not ended(connection, 0.02)


def descriptors() -> set[str]:
    found = set()
    for number in os.listdir("/dev/fd"):
        try:
            found.add(f"{number} {os.readlink(f'/dev/fd/{number}')}")
        except OSError:
            continue
    return {line for line in found if "socket:" in line}


def test_a_killed_process_keeps_its_connection_until_it_is_released(
    custody: Custody, tmp_path: Path, broker: socket.socket
) -> None:
    with working(tmp_path, broker, "s1") as worker:
        worker.kill()

        assert goes_on(worker.connections[0])
        custody.release("s1")
        assert ended(worker.connections[0])


def test_a_process_that_was_collected_before_it_died_is_held_too(
    custody: Custody, tmp_path: Path, broker: socket.socket
) -> None:
    with working(tmp_path, broker, "s1") as worker:
        custody.collect()
        worker.kill()

        assert goes_on(worker.connections[0])
        custody.release("s1")
        assert ended(worker.connections[0])


def test_only_the_named_session_is_let_go(custody: Custody, tmp_path: Path, broker: socket.socket) -> None:
    with working(tmp_path, broker, "s1") as one, working(tmp_path, broker, "s2") as two:
        one.kill()
        two.kill()

        custody.release("s3")
        custody.release("s1")

        assert ended(one.connections[0])
        assert goes_on(two.connections[0])


def test_releasing_what_lives_ends_nothing(custody: Custody, tmp_path: Path, broker: socket.socket) -> None:
    with working(tmp_path, broker, "s1") as worker:
        custody.release("s1")

        assert goes_on(worker.connections[0])


def test_a_stopped_process_is_cut_off(custody: Custody, tmp_path: Path, broker: socket.socket) -> None:
    with working(tmp_path, broker, "s1") as worker:
        worker.stop()

        custody.sever("s1")

        assert ended(worker.connections[0])
        os.kill(worker.pid, 0)  # it is still there


def test_a_new_connection_of_a_session_replaces_the_old_one(
    custody: Custody, tmp_path: Path, broker: socket.socket
) -> None:
    with working(tmp_path, broker, "s1", "s1") as worker:
        worker.kill()

        custody.collect()

        assert ended(worker.connections[0])
        assert goes_on(worker.connections[1])
        custody.release("s1")
        assert ended(worker.connections[1])


def test_closing_lets_everything_go(custody: Custody, tmp_path: Path, broker: socket.socket) -> None:
    with working(tmp_path, broker, "s1") as one, working(tmp_path, broker, "s2") as two:
        custody.collect()
        one.kill()
        two.kill()

        custody.close()

        assert ended(one.connections[0]) and ended(two.connections[0])
        custody.close()


def test_many_may_entrust_before_anybody_looks(custody: Custody, tmp_path: Path, broker: socket.socket) -> None:
    sessions = [f"s{number}" for number in range(60)]

    with working(tmp_path, broker, *sessions) as worker:
        worker.kill()
        custody.collect()

        assert all(goes_on(connection) for connection in worker.connections[:3])
        for session in sessions:
            custody.release(session)
        assert all(ended(connection) for connection in worker.connections)


def test_threads_entrust_at_once(custody: Custody, tmp_path: Path) -> None:
    pairs = [socket.socketpair() for _ in range(16)]
    threads = [
        threading.Thread(target=entrust, args=(tmp_path, f"s{number}", ours)) for number, (ours, _) in enumerate(pairs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    for ours, _ in pairs:
        ours.close()

    assert all(goes_on(theirs) for _, theirs in pairs[:3])
    custody.close()

    assert all(ended(theirs) for _, theirs in pairs)
    for _, theirs in pairs:
        theirs.close()


def test_nothing_is_left_open(tmp_path: Path, broker: socket.socket) -> None:
    before = descriptors()

    custody = Custody(tmp_path, Heard())
    with working(tmp_path, broker, "s1", "s1", "s2", "s3") as worker:
        custody.release("s1")
        custody.sever("s2")
        worker.kill()
        custody.close()

    assert descriptors() == before


def test_a_kept_descriptor_is_not_inherited(custody: Custody, tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        entrust(tmp_path, "s1", ours)
        custody.collect()

        assert not any(sock.get_inheritable() for sock in custody._held.values())
        assert list(custody._held) == ["s1"]


def test_who_sends_nothing_or_rubbish_is_nobody(custody: Custody, tmp_path: Path) -> None:
    silent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    silent.connect(str(tmp_path / "custody"))
    for data in (b"", b"s1", b"\xff" * 300):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(tmp_path / "custody"))
            line.sendall(data)

    custody.collect()
    custody.release("s1")
    ours, theirs = socket.socketpair()
    with ours, theirs, silent:
        # Slow, but it comes at last.
        socket.send_fds(silent, [b"s1"], [ours.fileno()])
        ours.close()
        assert goes_on(theirs)
        custody.release("s1")
        assert ended(theirs)


def test_without_a_supervisor_entrusting_is_nothing(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        entrust(tmp_path, "s1", ours)
        entrust(tmp_path / "gone", "s1", ours)
        entrust(tmp_path, "s1", None)


def test_a_folder_that_cannot_hold_a_socket_is_a_warning(tmp_path: Path) -> None:
    heard = Heard()
    before = descriptors()

    custody = Custody(tmp_path / "gone", heard)
    custody.release("s1")
    custody.sever("s1")
    custody.close()

    assert heard.lines == ["warning: broker connections cannot be held over a death"]
    assert descriptors() == before
