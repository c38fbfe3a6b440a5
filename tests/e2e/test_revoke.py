"""Revoking holds whatever is restarted, and terminating hits nobody else: `make chaos DRILL=revoke`, `DRILL=terminate`."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import keep, size
from tests.e2e.field import Field, until
from tests.servers.fixtures import own_rabbit, own_redis, rabbit, rabbit_vhost  # noqa: F401 - fixtures
from tests.servers.redis import RedisServer

from leveret import chord, group

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]
SEED = 7


@pytest.fixture(params=["sqlite", "redis", "rabbitmq"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str, Callable[[], None]]:
    """Broker, results, and how to restart all of it. RabbitMQ is restarted in full size only: it takes seconds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/queue.db", "", lambda: None
    redis: RedisServer = request.getfixturevalue("own_redis")
    if request.param == "redis":
        return redis.url, "", redis.restart
    if size(full=True, ci=False):
        server = request.getfixturevalue("own_rabbit")

        def both() -> None:
            redis.restart()
            server.restart()

        return server.url, redis.url, both
    return request.getfixturevalue("rabbit_vhost").url, redis.url, redis.restart


@pytest.fixture
def field(
    place: tuple[str, str, Callable[[], None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Field]:
    made = Field(tmp_path, place[0], place[1], monkeypatch)
    yield made
    made.close()


def test_what_is_revoked_never_runs_whatever_is_restarted(
    field: Field, place: tuple[str, str, Callable[[], None]], request: pytest.FixtureRequest
) -> None:
    count = size(full=1000, ci=100)
    app, mark = field.app, field.tasks.mark
    single = app.send_many([mark.s(f"id-{n}") for n in range(count // 2)])
    many = group(mark.s(f"group-{n}") for n in range(count // 4)).apply_async()
    for n in range(count // 4):
        mark.s(f"stamp-{n}").set(stamped_headers=["shop"], shop="7").apply_async()
    late = [mark.apply_async((f"late-{n}",), countdown=2) for n in range(10)]
    chorded = chord([mark.si(f"member-{n}") for n in range(3)], field.tasks.join.s()).apply_async()
    canaries = app.send_many([mark.s(f"canary-{n}") for n in range(20)])

    app.control.revoke([one.id for one in [*single, *late]])
    app.control.revoke_group(many.id)
    app.control.revoke_by_stamped_headers({"shop": ["7", "8"]})
    chorded.parent[1].revoke()
    place[2]()
    field.node("-P", "prefork", "-c", "2")
    until(lambda: len(field.ear.names("ran")) >= len(canaries) // 2, 60, field.logs)
    field.kill()
    place[2]()
    field.node("-P", "threads", "-c", "4")
    until(lambda: {f"canary-{n}" for n in range(20)} <= field.ear.names("ran"), 60, field.logs)
    until(lambda: chorded.failed(), 30, field.logs)
    until(lambda: all(one.state == "REVOKED" for one in [*single, *late]), 30, field.logs)

    ran = field.ear.names("ran")
    figures = {"revoked": count + 10, "ran": len([name for name in ran if not name.startswith(("canary", "member"))])}
    if size(full=True, ci=False):
        keep(f"revoke-{request.node.callspec.params['place']}", figures)
    assert figures["ran"] == 0
    assert "member-1" not in ran
    assert not field.ear.names("joined")


class Terminator:
    """Ends each victim about when it ends by itself.

    What a command takes from here to the process depends on what else the machine does: 4 ms, or a hundred. So it aims
    by what it hears: earlier after a victim that got away, later after one that did not.
    """

    def __init__(self, field: Field, seconds: float) -> None:
        self._field, self._dice, self.seconds = field, random.Random(SEED), seconds
        self._lead = 0.004
        self._threads: list[threading.Thread] = []
        self.sent = 0

    def hear(self, what: str, name: str) -> None:
        if what == "victim-began":
            self._lead *= 0.9
            after = max(0.0, self.seconds - self._lead + self._dice.uniform(-0.002, 0.002))
            timer = threading.Timer(after, self._end, (name,))
            timer.start()
            self._threads.append(timer)
        elif what == "victim-ended":
            self._lead = min(self.seconds, 1.5 * self._lead + 0.001)

    def _end(self, name: str) -> None:
        self._field.app.control.terminate(name)
        self.sent += 1

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(10)


LONGEST_SECONDS = 2.0
"""Where a machine is so busy that not even such a victim is hit, something else is wrong."""


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_terminate_never_hits_another_task(pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count, seconds = size(full={"prefork": 340, "threads": 330, "asyncio": 330}[pool], ci=34), 0.02
    field = Field(tmp_path, f"sqlite:///{tmp_path}/queue.db", "", monkeypatch)
    try:
        figures = play(field, pool, count, seconds)
    finally:
        field.close()

    if size(full=True, ci=False):
        keep(f"terminate-{pool}", figures)
    assert figures["canaries hit"] == 0, figures
    assert figures["canaries not once"] == 0, figures
    assert figures["victims terminated"] > 0, figures
    assert figures["victims ended otherwise"] == 0, figures


def play(field: Field, pool: str, count: int, seconds: float) -> dict[str, Any]:
    terminator = Terminator(field, seconds)
    field.ear.on = terminator.hear
    field.node("-P", pool, "-c", "2")
    field.steered()
    victims, canaries = send(field, pool, count, terminator)
    while not any(one.state == "REVOKED" for one in victims) and terminator.seconds < LONGEST_SECONDS:
        # A hop takes longer than the victims do: the race is run with longer ones.
        terminator.seconds *= 4
        more = send(field, pool, 5, terminator)
        victims, canaries = victims + more[0], canaries + more[1]
    terminator.wait()
    heard, states = field.ear.heard, Counter(one.state for one in victims)
    return {
        "pool": pool,
        "terminated": terminator.sent,
        "seconds of a victim": terminator.seconds,
        "victims terminated": states["REVOKED"],
        "victims done": states["SUCCESS"],
        "victims ended otherwise": len(victims) - states["REVOKED"] - states["SUCCESS"],
        "canaries": len(canaries),
        "canaries hit": sum(one.state != "SUCCESS" for one in canaries),
        "canaries not once": sum(
            (heard["canary-began", one.id], heard["canary-ended", one.id]) != (1, 1) for one in canaries
        ),
        "seed": SEED,
    }


def send(field: Field, pool: str, count: int, terminator: Terminator) -> tuple[list[Any], list[Any]]:
    """Victims with canaries behind them, until all have ended."""
    task, seconds = field.tasks.awork if pool == "asyncio" else field.tasks.work, terminator.seconds
    victims, canaries = [], []
    for _ in range(count):
        victims.append(task.delay("victim", seconds))
        canaries += [task.delay("canary", seconds / 4), task.delay("canary", seconds)]
    until(lambda: all(one.ready() for one in canaries), 30 + count, field.logs)
    until(lambda: all(one.ready() for one in victims), 30, field.logs)
    return victims, canaries
