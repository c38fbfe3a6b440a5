"""What is in Redis after a store: names, terms, databases; and that Redis may lose everything but its data."""

import asyncio
import json

import pytest
from msgspec.structs import replace
from tests.integration.redis.rig import driver, started, success
from tests.integration.redis.server import Server

from leveret.model.message import Header
from leveret.model.settlement import Seat

DOCUMENT, FACTS = "celery-task-meta-a", "leveret:{celery-task-meta-a}"
JOIN = "celery-taskset-meta-j"


@pytest.fixture
def face(server: Server):
    face = driver(server).blocking_backend()
    yield face
    face.close()


def test_the_end_of_a_first_run_is_celerys_document_and_nothing_else(server, face):
    face.store((started("a"),))
    assert sorted(server.cli("KEYS", "*").split()) == [DOCUMENT, FACTS]
    face.store((success("a"),))

    assert server.cli("KEYS", "*") == DOCUMENT
    assert server.cli("GET", DOCUMENT).encode() == success("a").meta
    assert face.get(["a"]) == (success("a"),)


def test_any_other_outcome_is_celerys_document_and_our_facts(server, face):
    face.store((success("a", 1),))

    assert sorted(server.cli("KEYS", "*").split()) == [DOCUMENT, FACTS]
    assert server.cli("GET", DOCUMENT).encode() == success("a").meta
    # After a retry the document stands there once more: Celery may write its RETRY over the first.
    assert server.cli("GET", FACTS).encode() == b"1 T - - - SUCCESS\n" + success("a").meta


def test_both_live_equally_long(server, face):
    face.store((success("a", 1, expires_after=100.0), success("b", 1)))

    for key in (DOCUMENT, FACTS):
        assert 90_000 < int(server.cli("PTTL", key)) <= 100_000
        assert server.cli("PTTL", key.replace("meta-a", "meta-b")) == "-1"
    assert server.cli("PEXPIRETIME", DOCUMENT) == server.cli("PEXPIRETIME", FACTS)


def test_a_tombstone_leaves_no_document(server, face):
    face.store((started("a"),))
    face.store((success("a", tombstone=True, meta=b"kept"),))

    assert server.cli("KEYS", "*") == FACTS
    assert 86_390_000 < int(server.cli("PTTL", FACTS)) <= 86_400_000
    assert face.get(["a"])[0].meta == b"kept"


def test_forgetting_leaves_nothing(server, face):
    face.store((success("a"),))
    face.forget(["a", "nobody"])

    assert server.cli("DBSIZE") == "0"


def test_a_prefix_is_before_every_key_and_channel(server):
    face = driver(server, global_keyprefix="app").blocking_backend()
    face.store((success("a", 1),))

    assert sorted(server.cli("KEYS", "*").split()) == [f"app_{DOCUMENT}", "app_leveret:{app_celery-task-meta-a}"]
    assert driver(server).blocking_backend().get(["a"]) == (None,)
    assert face.wait(["a"], 1)[0].id == "a"
    face.close()


def test_the_url_names_the_database(server):
    third = driver(server.url[:-1] + "3").blocking_backend()
    third.store((success("a"),))

    assert server.cli("DBSIZE") == "0"
    assert server.cli("-n", 3, "DBSIZE") == "1"
    assert driver(server).blocking_backend().get(["a"]) == (None,)
    third.close()


def test_scripts_are_told_again_to_a_server_that_forgot_them(server, face):
    face.store((success("a"),))
    server.cli("SCRIPT", "FLUSH")

    assert face.store((success("a"), success("b"))) == (False, True)


def test_what_somebody_else_wrote_in_our_place_hinders_nobody(server, face):
    server.cli("SET", FACTS, "nonsense")
    assert face.get(["a"]) == (None,)
    assert face.store((success("a"),)) == (True,)
    server.cli("DEL", FACTS)
    server.cli("RPUSH", FACTS, "a", "list")
    assert face.get(["a"])[0].terminal, "as a document of Celery's"
    assert face.store((success("a"),)) == (False,)


def test_a_batch_larger_than_a_script_run(face):
    records = tuple(success(f"{n}") for n in range(700))

    assert set(face.store(records)) == {True}
    assert set(face.store(records)) == {False}
    assert all(face.get([record.id for record in records]))


async def _arrive(server: Server) -> None:
    backend = driver(server).backend()
    await backend.opened((Header("j", 2),))
    assert 86_390_000 < int(server.cli("PTTL", f"{JOIN}.s")) <= 86_400_000
    (first,) = await backend.arrive((Seat(join="j", id="m", index=0, size=2, value=b"a"),))
    assert [server.cli("PTTL", f"{JOIN}.{key}") for key in "jsd"] == ["-1"] * 3, "an open join has no deadline"
    (last,) = await backend.arrive((Seat(join="j", id="n", index=1, size=2, value=b"b"),))
    assert (first.complete, last.values) == (False, (b"a", b"b"))
    await backend.fired(("j",))
    await backend.opened((Header("j", 2),))
    assert server.cli("KEYS", f"{JOIN}*") == f"{JOIN}.c"
    assert 86_390_000 < int(server.cli("PTTL", f"{JOIN}.c")) <= 86_400_000
    (again,) = await backend.arrive((Seat(join="j", id="n", index=1, size=2, value=b"b"),))
    assert again.over
    await backend.close()


def test_a_join_waits_for_ever_and_leaves_one_key_when_it_is_over(server):
    asyncio.run(_arrive(server))


def test_what_is_published_is_what_celery_publishes(server, face):
    with server.subscribed(DOCUMENT) as heard:
        face.store((replace(success("a"), terminal=False, state="PROGRESS", meta=b'{"status":"PROGRESS"}'),))
        face.store((success("a"),))

        assert [json.loads(heard.next())["status"] for _ in range(2)] == ["PROGRESS", "SUCCESS"]
