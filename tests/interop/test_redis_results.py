"""Results in Redis, both ways: what we store Celery's own AsyncResult reads, and what Celery's backend stores we read.

Celery is used in this process, with its real Redis backend and redis-py.
"""

import asyncio
import json
import threading
from collections.abc import Iterator

import celery
import pytest
from celery.backends.redis import RedisBackend as CelerysBackend
from celery.result import AsyncResult as CelerysResult
from tests.integration.redis.rig import driver
from tests.integration.redis.server import Server
from tests.interop.test_celery import make_codec
from tests.servers.availability import redis_server, require

from leveret import Leveret
from leveret.errors import TaskRevokedError
from leveret.logic.results import ErrorInfo, read_meta, write_meta, write_success
from leveret.model import state as states
from leveret.model.message import Message, TaskId
from leveret.model.settlement import Record

CODEC = make_codec()
OPTIONS = {"result_backend_transport_options": {"global_keyprefix": "app"}}


@pytest.fixture(scope="module")
def shared() -> Iterator[Server]:
    require(redis_server)
    with Server() as server:
        yield server


@pytest.fixture(params=["", "app"], ids=["plain", "prefixed"])
def prefix(request) -> str:
    return request.param


@pytest.fixture
def server(shared: Server) -> Server:
    shared.cli("FLUSHALL")
    return shared


@pytest.fixture
def theirs(server: Server, prefix: str) -> Iterator[celery.Celery]:
    app = celery.Celery("theirs", broker="memory://", backend=server.url, set_as_current=False)
    app.conf.update(result_backend_transport_options={"global_keyprefix": prefix} if prefix else {})
    yield app
    # A result that the collector finds later would try to leave its channel, for twenty seconds.
    app.backend.result_consumer.stop()
    app.backend.result_consumer.subscribed_to.clear()
    app.backend.client.close()
    app.close()


@pytest.fixture
def ours(server: Server, prefix: str) -> Iterator[Leveret]:
    app = Leveret("ours", broker="memory://interop", backend=server.url)
    app.conf.result_backend_transport_options = {"global_keyprefix": prefix} if prefix else {}
    yield app
    app.close()


def record(state: str, meta: bytes, **facts) -> Record:
    return Record(
        **{
            "id": TaskId("a"),
            "attempt": 0,
            "state": state,
            "meta": meta,
            "terminal": state in states.READY_STATES,
            **facts,
        }
    )


def message() -> Message:
    return Message(id=TaskId("a"), task="t", args=(), kwargs={}, queue="q")


def store(app: Leveret, *records: Record) -> tuple[bool, ...]:
    return app.client.backend().store(records)


BOOM = ErrorInfo(type="ValueError", module="builtins", args=("boom", 1), text="boom", traceback="Traceback ...")


def test_celery_reads_our_success(ours, theirs):
    store(ours, record("SUCCESS", write_success(CODEC, message(), b'{"n":[1,2]}', 1e9), expires_after=60.0))
    result = CelerysResult("a", app=theirs)

    assert (result.state, result.get(timeout=5)) == ("SUCCESS", {"n": [1, 2]})
    assert result.date_done.year == 2001


def test_celery_reads_our_failure(ours, theirs):
    store(ours, record("FAILURE", write_meta(CODEC, id="a", status="FAILURE", error=BOOM, date_done=1e9)))
    result = CelerysResult("a", app=theirs)

    with pytest.raises(ValueError, match="boom"):
        result.get(timeout=5)
    assert (result.state, result.traceback) == ("FAILURE", "Traceback ...")


def test_celery_reads_our_retry_and_waits_on(ours, theirs):
    store(ours, record("RETRY", write_meta(CODEC, id="a", status="RETRY", error=BOOM), not_before=5.0))
    result = CelerysResult("a", app=theirs)

    assert result.state == "RETRY" and isinstance(result.result, ValueError)
    with pytest.raises(celery.exceptions.TimeoutError):
        result.get(timeout=0.2)


def test_celery_is_told_at_once_when_we_store(ours, theirs, server, prefix):
    result = CelerysResult("a", app=theirs)
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(result.get(timeout=20)))
    thread.start()
    server.until_subscribed(f"{prefix + '_' if prefix else ''}celery-task-meta-a")
    store(ours, record("SUCCESS", write_success(CODEC, message(), b"7", 1e9)))
    thread.join(5)

    assert got == [7]


def test_a_tombstone_is_nothing_to_celery(ours, theirs):
    store(ours, record("SUCCESS", b"", tombstone=True))

    assert CelerysResult("a", app=theirs).state == "PENDING"


def test_celery_forgets_ours(ours, theirs):
    store(ours, record("SUCCESS", write_success(CODEC, message(), b"7", 1e9)))
    CelerysResult("a", app=theirs).forget()

    assert ours.AsyncResult("a").state == "PENDING"
    assert store(ours, record("SUCCESS", write_success(CODEC, message(), b"8", 1e9))) == (True,)


def test_celery_keeps_our_success(ours, theirs):
    """Its own rule: a SUCCESS that is there is not overwritten."""
    store(ours, record("SUCCESS", write_success(CODEC, message(), b"7", 1e9)))
    theirs.backend.store_result("a", 8, "SUCCESS")

    assert ours.AsyncResult("a").get(timeout=1) == 7


def test_we_read_what_celery_stored(ours, theirs):
    theirs.backend.store_result("a", {"n": [1]}, "SUCCESS")
    theirs.backend.store_result("b", ValueError("boom", 1), "FAILURE", traceback="Traceback ...")
    theirs.backend.store_result("c", celery.exceptions.TaskRevokedError("revoked"), "REVOKED")
    theirs.backend.store_result("d", {"pid": 5, "hostname": "w@h"}, "STARTED")

    assert ours.AsyncResult("a").get(timeout=1) == {"n": [1]}
    with pytest.raises(ValueError, match="boom"):
        ours.AsyncResult("b").get(timeout=1)
    assert ours.AsyncResult("b").traceback == "Traceback ..."
    with pytest.raises(TaskRevokedError):
        ours.AsyncResult("c").get(timeout=1)
    started = ours.AsyncResult("d")
    assert (started.state, started.info, started.ready()) == ("STARTED", {"pid": 5, "hostname": "w@h"}, False)


@pytest.mark.parametrize("form", ["json", "msgpack", "yaml", "pickle", "json+gzip", "pickle+gzip"])
def test_every_format_of_celery_ends_a_wait_and_fences(server, form):
    serializer, _, compression = form.partition("+")
    app = celery.Celery("theirs", broker="memory://", backend=server.url, set_as_current=False)
    app.conf.update(result_serializer=serializer, accept_content=[serializer], result_compression=compression or None)
    face = driver(server).blocking_backend()
    own = record("STARTED", b"", attempt=3)
    face.store((own,))
    later = threading.Timer(0.2, app.backend.store_result, ("a", 5, "SUCCESS"))
    later.start()

    (found,) = face.wait(["a"], 10)

    assert (found.state, found.terminal, found.attempt) == ("SUCCESS", True, 3)
    codec = make_codec() if serializer != "pickle" else None
    if codec is not None:
        assert read_meta(found, codec).result == 5
    assert face.store((record("SUCCESS", b'{"status":"SUCCESS"}', attempt=9),)) == (False,)
    assert face.get(["a"]) == (found,)
    face.close()
    app.close()


@pytest.mark.parametrize("form", ["json", "msgpack", "yaml", "pickle", "json+gzip"])
def test_what_celery_has_begun_we_may_end(server, form):
    serializer, _, compression = form.partition("+")
    app = celery.Celery("theirs", broker="memory://", backend=server.url, set_as_current=False)
    app.conf.update(result_serializer=serializer, accept_content=[serializer], result_compression=compression or None)
    app.backend.store_result("a", {"pid": 5}, "STARTED")
    face = driver(server).blocking_backend()

    assert face.store((record("SUCCESS", b'{"status":"SUCCESS"}'),)) == (True,)
    assert face.get(["a"])[0].terminal
    face.close()
    app.close()


def test_a_failure_of_ours_is_an_end_whatever_celery_writes_over_it(server):
    """A Celery worker with a copy of the message reports STARTED: readers and the fence still agree."""
    face = driver(server).blocking_backend()
    face.store((record("FAILURE", write_meta(CODEC, id="a", status="FAILURE", error=BOOM)),))
    app = celery.Celery("theirs", broker="memory://", backend=server.url, set_as_current=False)
    app.backend.store_result("a", {"pid": 5}, "STARTED")

    (found,) = face.get(["a"])
    assert (found.state, found.terminal) == ("FAILURE", True)
    assert face.store((record("SUCCESS", b'{"status":"SUCCESS"}', attempt=1),)) == (False,)

    app.backend.store_result("a", 5, "SUCCESS")
    (found,) = face.get(["a"])
    assert (found.state, json.loads(found.meta)["result"]) == ("SUCCESS", 5)
    face.close()
    app.close()


def test_a_worker_of_celery_is_awaited_on_a_loop(ours, theirs, server, prefix):
    async def main() -> object:
        wait = asyncio.create_task(ours.AsyncResult("a").aget(timeout=20))
        channel = f"{prefix + '_' if prefix else ''}celery-task-meta-a"
        await asyncio.to_thread(server.until_subscribed, channel)
        await asyncio.to_thread(theirs.backend.store_result, "a", 6, "SUCCESS")
        value = await wait
        await ours.aclose()
        return value

    assert asyncio.run(main()) == 6


def test_it_is_really_celerys_backend(theirs):
    assert isinstance(theirs.backend, CelerysBackend)
