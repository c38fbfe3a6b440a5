"""`leveret dead` on a real dead letter."""

import asyncio
import json
from pathlib import Path

import pytest

from leveret.config.settings import Settings
from leveret.model.delivery import Claim, SessionId, Verdict
from leveret.model.node import Node, Session
from leveret.model.settlement import Commitment
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers


@pytest.fixture
def dead(leveret, module, project):
    """Two parked messages; answers the options that name the app, and the ids."""
    name = module()
    ids = [json.loads(leveret("call", "-A", name, "add", str(n), "y=7", "--json").out)["id"] for n in range(2)]
    asyncio.run(park(project))
    return ("-A", name), ids


async def park(project: Path) -> None:
    drivers = open_drivers(Settings(broker_url=f"sqlite:///{project}/.leveret/queue.db"), SystemClock())
    broker, leases = drivers.broker.broker(), drivers.broker.leases()
    node = Node(name="n@h", incarnation="1", boot="b", pid=1)
    session = Session(id=SessionId("s"), node=node.name, incarnation="1", pid=1)
    await leases.register(node, (session,))
    deliveries = await broker.claim(Claim(session=session.id, queues=("default",), credit=10, number=1))
    await broker.settle(
        tuple(Commitment(receipt=d.receipt, verdict=Verdict.REJECT, reason="signal 9 three times") for d in deliveries)
    )
    await leases.leave(node)
    await broker.close()


def test_dead_letters_are_listed_with_their_reason(leveret, dead):
    app, ids = dead

    table = leveret("dead", "list", *app).out
    rows = json.loads(leveret("dead", "list", *app, "--json").out)

    assert all(id in table for id in ids)
    assert {(row["id"], row["task"], row["queue"], row["reason"]) for row in rows} == {
        (id, "add", "default", "signal 9 three times") for id in ids
    }
    assert "2 dead letters: leveret dead list" in leveret("status", *app).out


def test_one_is_shown_with_its_arguments_by_the_start_of_its_id(leveret, dead):
    app, ids = dead

    facts = json.loads(leveret("dead", "show", *app, ids[0][:18], "--json").out)

    assert (facts["id"], facts["args"], facts["kwargs"]) == (ids[0], [0], {"y": 7})


def test_an_id_that_is_not_clear_is_refused(leveret, dead):
    app, _ = dead

    assert "2 dead letters begin with ''" in leveret("dead", "redrive", *app, "").err


def test_redriven_letters_are_in_their_queue_again(leveret, dead):
    app, ids = dead

    answer = leveret("dead", "redrive", *app, ids[0])

    assert answer.out == "1 redriven\n"
    assert json.loads(leveret("queues", *app, "--json").out)[0]["ready"] == 1
    assert [row["id"] for row in json.loads(leveret("dead", "list", *app, "--json").out)] == [ids[1]]


def test_purged_letters_are_gone(leveret, dead):
    app, _ = dead

    assert json.loads(leveret("dead", "purge", *app, "--all", "-f", "--json").out) == {"purged": 2}
    assert leveret("dead", "list", *app).out == "no dead letters\n"
