"""A real RabbitMQ of one's own: killed, started again on the same ports, asked what it holds."""

import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.host.certificates import Certificates
from tests.servers.host.ports import HOST
from tests.servers.host.premises import tail
from tests.servers.rabbit.remote import Address, Rabbit, answers, erlang_environment
from tests.servers.rabbit.site import Site

CONSOLE = Path(__file__).parent / "rabbit/console.erl"
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RabbitOptions:
    """`conf`: lines for rabbitmq.conf, such as `consumer_timeout = 5000`. `plugins`: none unless named here."""

    conf: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    tls: bool = False


class RabbitNode(Rabbit):
    """One node on a site: its process comes and goes, its folder and ports stay."""

    def __init__(self, site: Site, name: str, options: RabbitOptions) -> None:
        management, prometheus = (f"rabbitmq_{p}" in options.plugins for p in ("management", "prometheus"))
        super().__init__(
            Address(
                site=str(site.folder),
                node=f"{name}@localhost",
                port=site.claim(),
                names_port=site.names_port,
                tls_port=site.claim() if options.tls else None,
                management_port=site.claim() if management else None,
                prometheus_port=site.claim() if prometheus else None,
            )
        )
        self._site = site
        self._options = options
        self._distribution_port = site.claim()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.address.folder / "server.log"

    def launch(self) -> None:
        """Start the process; `wait` waits for the server in it."""
        assert not self.running, f"{self.address.node} runs already"
        self._site.start_names()
        self._prepare()
        # The script becomes Erlang instead of its parent if it thinks it is a systemd service: one process less.
        environment = {**erlang_environment(self.address), **self._settings(), "RUNNING_UNDER_SYSTEMD": "true"}
        command = [self._site.folder / "view/sbin/rabbitmq-server", *self._flags()]
        self._process = self._site.premises.run(command, environment, log=self.log)

    def wait(self, timeout: float = START_SECONDS) -> None:
        """Wait until the server greets clients, and operators too."""
        deadline = time.monotonic() + timeout
        for answered in (lambda: answers(self.address.port), self._console_answers):
            while not answered():
                if not self.running or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.address.node} did not start:\n{tail(self.log)}")
                time.sleep(0.01)

    def kill(self) -> None:
        """Kill -9 the server and everything it started."""
        if self._process is not None:
            self._site.premises.evict(self._process)

    def terminate(self) -> None:
        """Let it end in order, which takes it a second."""
        if self.running and self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(START_SECONDS)

    def _prepare(self) -> None:
        folder = self.address.folder
        folder.mkdir(exist_ok=True)
        self.address.console.unlink(missing_ok=True)
        (folder / "plugins").write_text(f"[{', '.join(self._options.plugins)}].\n")
        if lines := self._configuration():
            (folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")

    def _configuration(self) -> list[str]:
        """Write rabbitmq.conf; no line, no file: reading even a short one takes the server 0.6 s."""
        address, lines = self.address, list(self._options.conf)
        for name, port in (("management", address.management_port), ("prometheus", address.prometheus_port)):
            lines += [f"{name}.tcp.ip = {HOST}", f"{name}.tcp.port = {port}"] if port else []
        if certificates := self._site.certificates:
            lines += _tls(certificates, address.tls_port)
        return [f"listeners.tcp.1 = {HOST}:{address.port}", *lines] if lines else []

    def _settings(self) -> dict[str, str]:
        folder = self.address.folder
        return {
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.address.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder),
            "RABBITMQ_MNESIA_DIR": str(folder / "data"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
        }

    def _flags(self) -> list[str]:
        """One scheduler that does not spin. Named at once, or RabbitMQ starts another Erlang to start its epmd."""
        port = str(self._distribution_port)
        loopback = ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]
        name = ["-sname", self.address.node, "-kernel", "inet_dist_listen_min", port, "inet_dist_listen_max", port]
        console = f'file:script("{CONSOLE}", [{{\'Socket\', "{self.address.console}"}}])'
        modules = ["-pa", str(self._site.folder / "view/modules")]
        return ["+S", "1:1", "+sbwt", "none", *modules, *loopback, *name, "-eval", console]

    def _console_answers(self) -> bool:
        try:
            return self.evaluate("rabbit:is_running().") == "true"
        except OSError:
            return False


class RabbitServer(RabbitNode):
    """One node with a site of its own, from `start` to `stop`."""

    def __init__(self, options: RabbitOptions | None = None) -> None:
        options = options or RabbitOptions()
        super().__init__(Site(options.plugins, tls=options.tls), "rabbit", options)

    @property
    def certificates(self) -> Certificates:
        assert self._site.certificates is not None, "made for RabbitOptions(tls=True) only"
        return self._site.certificates

    def start(self) -> Self:
        """Start, the first time or after `kill`, and wait until it answers."""
        self.launch()
        self.wait()
        return self

    def kill(self) -> None:
        super().kill()
        self._site.kill_names()

    def restart(self) -> None:
        """End in order what runs, and start; after `kill`: only start."""
        self.terminate()
        self.start()

    def stop(self) -> None:
        """End everything at once; nothing is kept."""
        self._site.close()

    def leave(self) -> None:
        """Let go of a server that others use too (sharing.py)."""
        self._site.leave()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _tls(certificates: Certificates, port: int | None) -> list[str]:
    return [
        f"listeners.ssl.1 = {HOST}:{port}",
        f"ssl_options.cacertfile = {certificates.authority}",
        f"ssl_options.certfile = {certificates.server}",
        f"ssl_options.keyfile = {certificates.server_key}",
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
    ]
