"""Producers as people run them: every send arrives exactly once, nothing hangs, nobody waits longer than a plain script.

CI sends 100 from each; LEVERET_CHAOS=full sends 1,000 and holds the times against a plain script's.
"""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from kombu import Connection
from tests.e2e.drill import keep, size
from tests.servers.fixtures import rabbit, shared_redis  # noqa: F401 - fixtures
from tests.servers.rabbit.remote import Rabbit
from tests.servers.redis import RedisServer

from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Claim, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

PROGRAMS = Path(__file__).parent / "producers"
COUNT = size(1000, 100)
ROUNDS = size(5, 3)
SLOWER = size(1.3, 50.0)
"""Times a plain script's time. CI's hundred sends last 50 ms, where a neighbour's hiccup is not our slowness: there it
only says that nothing hangs, the speed is judged in full size."""
BATCH = 50
EACH_ONCE = sorted([*range(COUNT)] * ROUNDS)
BIN = Path(sys.executable).parent


class File:
    """A queue in a file."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/queue.db"
        self.other_url = f"{self.url}.plain"
        """Where the plain scripts send that the times are held against."""

    def bodies(self) -> list[str | bytes]:
        return asyncio.run(_read(self.url))


class Server:
    """A queue on RabbitMQ, in a fresh vhost."""

    def __init__(self, broker: Rabbit) -> None:
        self.url, self.other_url = broker.vhost().url, broker.vhost().url

    def bodies(self) -> list[str | bytes]:
        """As any client reads them."""
        with Connection(self.url) as connection:
            channel, found = connection.channel(), []
            while (message := channel.basic_get("default", no_ack=True)) is not None:
                found.append(message.body)
            return found


class Lists:
    """A queue on Redis, emptied for it."""

    def __init__(self, server: RedisServer) -> None:
        server.call("FLUSHALL")
        self.url, self.other_url = server.url, f"{server.url.removesuffix('/0')}/1"

    def bodies(self) -> list[str | bytes]:
        """As any client reads them; the list is the one of our usual priority."""
        with Connection(self.url) as connection:
            raws = connection.default_channel.client.lrange("default\x06\x169", 0, -1)
        return [base64.b64decode(json.loads(raw)["body"]) for raw in raws]


Place = File | Server | Lists
Judge = Callable[[float], bool]


@pytest.fixture(params=["sqlite", "rabbitmq", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    match request.param:
        case "sqlite":
            return File(tmp_path)
        case "rabbitmq":
            return Server(request.getfixturevalue("rabbit"))
        case _:
            return Lists(request.getfixturevalue("shared_redis"))


@pytest.fixture
def environment(place: Place, tmp_path: Path) -> dict[str, str]:
    places = {
        "LEVERET_BROKER_URL": place.url,
        "PLAIN_BROKER_URL": place.other_url,
        "DJANGO_DATABASE": str(tmp_path / "django.db"),
        "PYTHONPATH": os.pathsep.join((str(PROGRAMS), str(PROGRAMS.parents[2] / "src"))),
    }
    return {**os.environ, **places}


@pytest.fixture(scope="module")
def times_slower() -> Iterator[dict[str, float]]:
    """Each test's figure, written down in the end."""
    figures: dict[str, float] = {}
    yield figures
    keep("producers", {"sends": COUNT, "rounds": ROUNDS, "limit": SLOWER, "times_a_plain_script": figures})


@pytest.fixture
def judged(request: pytest.FixtureRequest, times_slower: dict[str, float]) -> Judge:
    """Note a figure under the test's name, and say whether it is good enough."""

    def judge(slower: float) -> bool:
        name = re.sub(r"^test_(a_program_)?(\w+?)_?delivers?\w*", r"\2", request.node.name)
        times_slower[name] = round(slower, 2)
        return slower <= SLOWER

    return judge


@pytest.mark.parametrize("kind", ["plain", "fork", "threads", "loops", "notebook", "at_exit"])
def test_a_program_delivers_each_send_once(kind: str, environment: dict[str, str], place: Place, judged: Judge) -> None:
    processes = 4 if kind == "fork" else 1

    slower = _times_slower(lambda: _run(kind, COUNT, environment), environment, processes)

    assert _arrived(place) == EACH_ONCE
    assert judged(slower)


@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_gunicorn_preload_delivers_from_the_parent_and_from_every_child(
    environment: dict[str, str], place: Place, judged: Judge
) -> None:
    port = _free_port()
    command = [BIN / "gunicorn", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}", "web:wsgi"]

    with _server(command, {**environment, "SEND_BEFORE_FORK": "1"}, port):
        pids: set[int] = set()
        slower = _times_slower(lambda: _ask(port, pids), environment, processes=2)

    assert _arrived(place, also=(-2,)) == [-2, *EACH_ONCE]
    assert len(pids) == 2
    assert judged(slower)


@pytest.mark.skipif(find_spec("uvicorn") is None, reason="uvicorn is not installed")
def test_uvicorn_with_two_workers_delivers_each_send_once(
    environment: dict[str, str], place: Place, judged: Judge
) -> None:
    port = _free_port()
    command = [BIN / "uvicorn", "--workers", "2", "--port", str(port), "--log-level", "warning", "web:asgi"]

    with _server(command, environment, port):
        slower = _times_slower(lambda: _ask(port), environment, processes=2)

    assert _arrived(place) == EACH_ONCE
    assert judged(slower)


@pytest.mark.skipif(find_spec("pyuwsgi") is None, reason="pyuwsgi is not installed")
def test_uwsgi_without_threads_delivers_each_send_once(
    environment: dict[str, str], place: Place, judged: Judge
) -> None:
    port = _free_port()
    arguments = ["--http-socket", f"127.0.0.1:{port}", "--master", "--processes", "2", "--need-app", "--die-on-term"]
    command = [BIN / "uwsgi", *arguments, "--module", "web:wsgi", "--pythonpath", str(PROGRAMS)]

    with _server(command, {**environment, "SEND_BEFORE_FORK": "1"}, port):
        slower = _times_slower(lambda: _ask(port), environment, processes=2)

    assert _arrived(place, also=(-2,)) == [-2, *EACH_ONCE]
    assert judged(slower)


@pytest.mark.skipif(
    find_spec("gevent") is None or find_spec("django") is None, reason="gevent or Django is not installed"
)
def test_gunicorn_gevent_delivers_between_django_queries(
    environment: dict[str, str], place: Place, judged: Judge
) -> None:
    port = _free_port()
    command = [BIN / "gunicorn", "-k", "gevent", "-w", "1", "-b", f"127.0.0.1:{port}", "django_site:application"]

    with _server(command, environment, port):
        slower = _times_slower(lambda: _ask(port), environment)

    assert _arrived(place) == EACH_ONCE
    assert judged(slower)


@pytest.mark.parametrize("kind", ["sqlite", "rabbitmq", "redis"])
def test_a_broker_that_cannot_work_is_named_within_the_publish_deadline(kind: str, tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.touch()
    url, named = {
        "sqlite": (f"sqlite:///{blocked}/queue.db", str(blocked)),
        "rabbitmq": (f"amqp://guest:guest@127.0.0.1:{_free_port()}//", "cannot connect to amqp://guest@127.0.0.1:"),
        "redis": (f"redis://:secret@127.0.0.1:{_free_port()}/0", "cannot reach Redis at redis://:**@127.0.0.1:"),
    }[kind]
    environment = {**os.environ, "LEVERET_BROKER_URL": url, "PYTHONPATH": str(PROGRAMS.parents[2] / "src")}

    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, PROGRAMS / "program.py", "plain", "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert done.returncode != 0
    assert time.monotonic() - started < 12
    said = done.stderr.splitlines()[-1]
    assert named in said


def _start(kind: str, count: int, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, PROGRAMS / "program.py", kind, str(count)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def _run(kind: str, count: int, environment: dict[str, str], programs: int = 1) -> float:
    """Start programs and have them all send at the same time; answers the seconds of the slowest."""
    started = [_start(kind, count, environment) for _ in range(programs)]
    for program in started:
        assert program.stdout is not None
        program.stdout.readline()
    for program in started:
        assert program.stdin is not None
        # One that has failed says why below.
        with suppress(BrokenPipeError):
            program.stdin.write("go\n")
            program.stdin.flush()
    return max(_finish(program) for program in started)


def _finish(program: subprocess.Popen[str]) -> float:
    output, errors = program.communicate(timeout=120)
    assert program.returncode == 0, errors
    return float(output.splitlines()[-1])


def _times_slower(send: Callable[[], float], environment: dict[str, str], processes: int = 1) -> float:
    """`send`'s seconds over those of plain scripts, as many at a time as the producer has processes, turn by turn."""
    elsewhere = {**environment, "LEVERET_BROKER_URL": environment["PLAIN_BROKER_URL"]}
    return statistics.median(send() / _plain(elsewhere, processes) for _ in range(ROUNDS))


def _plain(environment: dict[str, str], processes: int) -> float:
    return _run("plain", COUNT // processes, environment, processes)


def _arrived(place: Place, also: tuple[int, ...] = ()) -> list[int]:
    """The indices of all messages in the queue, in order; the warm-up's are left out."""
    indices = [json.loads(body)[0][0] for body in place.bodies()]
    return sorted(index for index in indices if index >= 0 or index in also)


async def _read(url: str) -> list[bytes]:
    driver = SqlDriver(Url(url), DriverOptions(), SystemClock())
    session = Session(id=SessionId("reader"), node="reader", incarnation="1", pid=os.getpid())
    node = Node(name="reader", incarnation="1", boot="reader", pid=os.getpid())
    await driver.leases().register(node, (session,))
    broker, found, number = driver.broker(), [], 0
    while True:
        number += 1
        deliveries = await broker.claim(Claim(session=session.id, queues=("default",), credit=200, number=number))
        found += [delivery.encoded.body for delivery in deliveries]
        if not deliveries:
            break
    await driver.leases().leave(node)
    await broker.close()
    return found


@contextmanager
def _server(command: list[str | Path], environment: dict[str, str], port: int) -> Iterator[None]:
    """Started in a session of its own; gone, children included, when the block ends."""
    process = subprocess.Popen(command, env=environment, cwd=PROGRAMS, start_new_session=True)
    try:
        _await_port(process, port)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
            raise AssertionError(f"{command[0]} did not stop within 10 s") from None


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 0.5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server does not answer")


def _ask(port: int, pids: set[int] | None = None) -> float:
    """Two requests at a time until COUNT is sent: a busy process leaves the next to its sibling.

    Answers the seconds that the busier one spent sending; adds to `pids` who answered.
    """

    def ask(start: int) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/?start={start}&count={BATCH}", timeout=60) as answer:
            reply: dict[str, float] = json.load(answer)
        return reply

    with ThreadPoolExecutor(2) as pool:
        replies = list(pool.map(ask, range(0, COUNT, BATCH)))
    spans: dict[int, list[tuple[float, float]]] = {}
    for reply in replies:
        spans.setdefault(int(reply["pid"]), []).append((reply["began"], reply["ended"]))
    if pids is not None:
        pids.update(spans)
    return max(_covered(spent) for spent in spans.values())


def _covered(spans: list[tuple[float, float]]) -> float:
    """The seconds within any of the spans: a process that answers two requests at a time spends them once."""
    seconds, until = 0.0, 0.0
    for began, ended in sorted(spans):
        seconds += max(ended - max(began, until), 0.0)
        until = max(until, ended)
    return seconds


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
