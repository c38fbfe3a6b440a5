"""Talking to a RabbitMQ that runs: addresses, fresh vhosts, questions to the server itself."""

import os
import socket
import ssl
import struct
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.servers.host.ports import HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where one node is. Plain values: another process can be told them."""

    site: str
    node: str
    port: int
    names_port: int
    tls_port: int | None = None
    management_port: int | None = None
    prometheus_port: int | None = None

    @property
    def folder(self) -> Path:
        return Path(self.site, self.node.partition("@")[0])

    @property
    def console(self) -> Path:
        return self.folder / "console"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vhost:
    name: str
    url: str


class ConsoleError(Exception):
    """The server could not evaluate an expression; the message has Erlang's reason."""


class Rabbit:
    """One node, as a client and as its operator sees it."""

    def __init__(self, address: Address) -> None:
        self.address = address

    @property
    def port(self) -> int:
        return self.address.port

    @property
    def url(self) -> str:
        return self.url_of("/")

    @property
    def tls_url(self) -> str:
        return f"amqps://guest:guest@{HOST}:{self.address.tls_port}//"

    def url_of(self, vhost: str, *, port: int | None = None) -> str:
        """Name a vhost in a URL; `port`: of the proxy to go through."""
        return f"amqp://guest:guest@{HOST}:{port or self.address.port}/{vhost if vhost == '/' else quote(vhost, '')}"

    def vhost(self, name: str | None = None) -> Vhost:
        """Make an empty vhost; one that has this name already is deleted first."""
        name = name or f"v{uuid.uuid4().hex[:12]}"
        self.drop_vhost(name)
        word, rights = binary(name), ", ".join([binary(".*")] * 3)
        self.evaluate(
            f"ok = rabbit_vhost:add({word}, <<>>), "
            f'ok = rabbit_auth_backend_internal:set_permissions(<<"guest">>, {word}, {rights}, <<>>).'
        )
        return Vhost(name=name, url=self.url_of(name))

    def drop_vhost(self, name: str) -> None:
        """Delete a vhost with all that is in it, if there is one."""
        word = binary(name)
        self.evaluate(f"case rabbit_vhost:exists({word}) of true -> rabbit_vhost:delete({word}, <<>>); _ -> ok end.")

    def leader(self, queue: str, vhost: str = "/") -> str:
        """Name the node that leads a queue; of a classic queue: the node it is on."""
        return self.evaluate(
            f"{{ok, Queue}} = rabbit_amqqueue:lookup(rabbit_misc:r({binary(vhost)}, queue, {binary(queue)})), "
            "case amqqueue:get_pid(Queue) of "
            "{Name, Node} -> {ok, _, {_, Leader}} = ra:members({Name, node()}), Leader; "
            "Pid -> node(Pid) end."
        )

    def sync(self) -> None:
        """Let the server write what it keeps back for a second: which quorum queues there are.

        One that is killed right after it declared its first finds the queue again, but never elects a leader for it.
        """
        self.evaluate("[dets:sync(Table) || Table <- dets:all()].")

    def evaluate(self, expression: str, timeout: float = 30.0) -> str:
        """Let the server evaluate Erlang, in milliseconds; answers the value as text."""
        with socket.socket(socket.AF_UNIX) as console:
            console.settimeout(timeout)
            console.connect(str(self.address.console))
            source = expression.encode()
            console.sendall(struct.pack(">I", len(source)) + source)
            answer = _all(console)[4:]
        if not answer.startswith(b"ok"):
            raise ConsoleError(f"{expression}\n{answer[2:].decode(errors='replace')}")
        return answer[2:].decode()

    def ctl(self, *arguments: str, timeout: float = 60.0) -> str:
        """Run the real `rabbitmqctl`, in a second or two; answers what it prints."""
        command = [Path(self.address.site, "view/sbin/rabbitmqctl"), "-q", *arguments]
        environment = erlang_environment(self.address)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise RuntimeError(
                f"rabbitmqctl {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout


def answers(port: int, context: ssl.SSLContext | None = None) -> bool:
    """Whether a server greets there: AMQP's header is answered with connection.start."""
    try:
        with socket.create_connection((HOST, port), timeout=5) as plain:
            connection = context.wrap_socket(plain, server_hostname=HOST) if context else plain
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            # Frame type 1, channel 0, a length, then class 10 and method 10.
            greeting = connection.recv(11)
            return greeting[:3] == b"\x01\x00\x00" and greeting[7:11] == b"\x00\x0a\x00\x0a"
    except OSError:
        return False


def erlang_environment(address: Address) -> dict[str, str]:
    """The variables of the node and of its command line: nothing of the machine's own RabbitMQ, loopback only."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RABBITMQ_", "ERL_", "ELIXIR_"))}
    loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
    return {
        **inherited,
        "HOME": str(Path(address.site, "home")),
        "LC_ALL": "C.UTF-8",
        "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(address.names_port),
        # Without it whatever speaks to a dead server would leave a name server (epmd) behind.
        "ERL_AFLAGS": "-start_epmd false",
        "RABBITMQ_NODENAME": address.node,
        "RABBITMQ_SCRIPTS_DIR": str(Path(address.site, "view/sbin")),
        # It would look beside its modules, which are in a folder of their own (installation.py).
        "RABBITMQ_PLUGINS_DIR": str(Path(address.site, "view/plugins")),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_CTL_ERL_ARGS": loopback,
        # 0: any free port.
        "RABBITMQ_CTL_DIST_PORT_MIN": "0",
        "RABBITMQ_CTL_DIST_PORT_MAX": "0",
    }


def binary(text: str) -> str:
    """Write a text as an Erlang binary."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'<<"{escaped}"/utf8>>'


def _all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received
