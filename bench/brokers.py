"""Servers of the bench's own: a fresh data folder and free loopback ports each, ended by their own process ids."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from leveret.cli.benching import proc

START_TIMEOUT = 90.0
STOP_TIMEOUT = 30.0


class ServerMissing(RuntimeError):
    """The server is not installed here, or did not come up."""


class Server:
    """One server: the processes it was started as, and all their children."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(pid for process in self._processes for pid in proc.tree(process.pid))

    def cpu_seconds(self) -> float:
        return sum(proc.cpu_seconds(process.pid) for process in self._processes)

    def memory_mb(self) -> float:
        return sum(proc.memory(process.pid).pss_mb for process in self._processes)

    def stop(self) -> None:
        """In the reverse order of their start: a broker takes leave of its port mapper."""
        for process in reversed(self._processes):
            members = {pid: _started(pid) for pid in proc.tree(process.pid)}
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pid, started in members.items():
                # A pid may belong to somebody else by now: not with the same birthday.
                if started and _started(pid) == started:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self._processes.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _spawn(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self.folder / "out.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)

    def _wait(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not ready():
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "out.log").read_text(errors="replace")[-2000:]
                self.stop()
                raise ServerMissing(f"{self.name} did not come up:\n{said}")
            time.sleep(0.1)


class RabbitMq(Server):
    """One node without plugins, with RabbitMQ's own defaults. Each trial gets a virtual host of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__("RabbitMQ", folder)
        self.port, self._epmd_port, self._distribution_port = (_free_port() for _ in range(3))
        self._cookie = secrets.token_hex(10).upper()

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> None:
        # Not the packages' wrapper in /usr/sbin: it changes to a user and folders shared with the system's own broker.
        found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
        if not found or not shutil.which("epmd") or not shutil.which("erl_call"):
            raise ServerMissing("RabbitMQ is not installed here; on Debian and Ubuntu: apt-get install rabbitmq-server")
        self._write_settings()
        # Started by us: left to itself the broker starts it as a daemon that outlives it.
        self._spawn(("epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)), self._environment())
        self._spawn((str(found[-1]),), self._environment())
        self._wait(lambda: _answers(self.port) and self._evaluate("rabbit:is_running()") == "{ok, true}")

    def add_virtual_host(self, name: str) -> str:
        """Answers its URL."""
        rights = '<<".*">>, <<".*">>, <<".*">>'
        grant = f'rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"{name}">>, {rights}, <<"bench">>)'
        self._do(f'rabbit_vhost:add(<<"{name}">>, <<"bench">>), {grant}')
        return f"{self.url}/{name}"

    def delete_virtual_host(self, name: str) -> None:
        self._do(f'rabbit_vhost:delete(<<"{name}">>, <<"bench">>)')

    def _do(self, expression: str) -> None:
        answer = self._evaluate(expression)
        if answer != "{ok, ok}":
            raise RuntimeError(f"RabbitMQ: {expression}: {answer}")

    def _evaluate(self, expression: str) -> str:
        """`erl_call` speaks to the node within milliseconds; `rabbitmqctl` starts a virtual machine for every word."""
        command = ("erl_call", "-n", "bench@localhost", "-c", self._cookie, "-e")
        environment = {**os.environ, **self._environment()}
        done = subprocess.run(command, input=f"{expression}.\n", env=environment, capture_output=True, text=True)
        return done.stdout.strip() or done.stderr.strip()

    def _write_settings(self) -> None:
        home = self.folder / "home"
        home.mkdir(parents=True)
        cookie = home / ".erlang.cookie"
        cookie.write_text(self._cookie)
        cookie.chmod(0o400)
        (self.folder / "plugins").write_text("[].")
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (self.folder / "env.conf").touch()

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder / "home"),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


class Redis(Server):
    """Nothing on the disk: as a result store it is measured at its fastest."""

    def __init__(self, folder: Path) -> None:
        super().__init__("Redis", folder)
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        if not shutil.which("redis-server"):
            raise ServerMissing("Redis is not installed here; on Debian and Ubuntu: apt-get install redis-server")
        self.folder.mkdir(parents=True)
        options = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder))
        self._spawn(("redis-server", "--port", str(self.port), *options), {})
        self._wait(lambda: _answers(self.port))

    def empty(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(64).startswith(b"+OK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _started(pid: int) -> str:
    """When a process began, in ticks since boot; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return ""
