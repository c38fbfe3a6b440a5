"""The fence in Redis is the reference's fence; and with Celery writing in between, readers and fence still agree."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.redis.rig import driver
from tests.integration.redis.server import Server
from tests.servers.availability import redis_server, require

from leveret.links.memory.server import MemoryServer
from leveret.links.memory.store import MemoryBlockingBackend
from leveret.logic.wire.foreign import status_of
from leveret.model.message import TaskId
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.testing.clock import SimClock

IDS = ("a", "b")
STATES = (
    ("SUCCESS", True),
    ("FAILURE", True),
    ("REVOKED", True),
    ("RETRY", False),
    ("STARTED", False),
    ("50 %\n", False),
    ("SUCCESS", False),  # update_state() may say so
    ("FAILURE", False),
)
EXAMPLES = settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])


def document(state: str, form: str) -> bytes:
    return {
        "none": b"",
        "ours": b'{"status":"%s","result":1}' % state.encode(),
        "celerys": b'{"status": "%s", "result": 1}' % state.encode(),
        "other order": b'{"result": {"status": "SUCCESS"}, "status": "%s"}' % state.encode(),
        "noise": b"\x00\x01" + state.encode(),
    }[form]


def foreign(state: str, form: str) -> bytes:
    """A document of somebody else's: with a field that none of ours has, as one equal to ours would be ours."""
    return document(state, form).removesuffix(b"}") + b', "children": []}'


@st.composite
def records(draw) -> Record:
    state, terminal = draw(st.sampled_from(STATES))
    form = draw(st.sampled_from(("none", "ours", "ours", "celerys", "noise", "other order")))
    return Record(
        id=TaskId(draw(st.sampled_from(IDS))),
        attempt=draw(st.integers(0, 2)),
        state=state,
        meta=document(state, form),
        content_type=draw(st.sampled_from(("application/json", "application/x-msgpack"))),
        terminal=terminal,
        tombstone=draw(st.booleans()) and state != "STARTED",
        not_before=draw(st.sampled_from((None, 1.5))) if state == "RETRY" else None,
    )


store = st.tuples(st.just("store"), st.lists(records(), min_size=1, max_size=4).map(tuple))
forget = st.tuples(st.just("forget"), st.sampled_from(IDS))
celery_writes = st.tuples(
    st.just("celery writes"),
    st.tuples(
        st.sampled_from(IDS),
        st.sampled_from(("SUCCESS", "FAILURE", "STARTED", "RETRY")),
        st.sampled_from(("celerys", "other order")),
    ),
)
celery_forgets = st.tuples(st.just("celery forgets"), st.sampled_from(IDS))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    require(redis_server)
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def line(server) -> Iterator[object]:
    """Celery's own commands, through a plain client."""
    redis = pytest.importorskip("redis")
    client = redis.Redis(port=server.port)
    yield client
    client.close()


@EXAMPLES
@given(steps=st.lists(st.one_of(store, store, store, forget), max_size=12))
def test_redis_answers_as_the_reference_does(server, line, steps):
    line.flushall()
    ours = driver(server).blocking_backend()
    reference = MemoryBlockingBackend(MemoryServer(DriverOptions(), SimClock()))

    for what, given_ in steps:
        if what == "store":
            assert ours.store(given_) == reference.store(given_)
        else:
            ours.forget([given_])
            reference.forget([given_])
        assert ours.get(IDS) == reference.get(IDS)
    ours.close()


@EXAMPLES
@given(steps=st.lists(st.one_of(store, store, forget, celery_writes, celery_writes, celery_forgets), max_size=12))
def test_whoever_reads_an_end_is_refused_and_nobody_else(server, line, steps):
    line.flushall()
    face = driver(server).blocking_backend()

    for what, given_ in steps:
        before = dict(zip(IDS, face.get(IDS), strict=True))
        if what == "store":
            for record in given_:
                known = before[record.id]
                (stored,) = face.store((record,))
                if known is not None and known.terminal:
                    assert not stored
                elif known is None or known.attempt < record.attempt:
                    assert stored
                if stored:
                    assert face.get([record.id]) == (record,)
                before[record.id] = face.get([record.id])[0]
        elif what == "celery writes":
            name, state, form = given_
            there = line.get(f"celery-task-meta-{name}")
            if there is None or status_of(there) != "SUCCESS":  # Celery's own rule
                line.set(f"celery-task-meta-{name}", foreign(state, form))
                (found,) = face.get([name])
                if state in ("SUCCESS", "FAILURE"):
                    assert (found.state, found.terminal) == (state, True)
                elif b"T" in (line.get(f"leveret:{{celery-task-meta-{name}}}") or b"- -").split()[1]:
                    assert found.terminal, "an end of ours is one, whatever is written over it"
        elif what == "forget":
            face.forget([given_])
            assert face.get([given_]) == (None,)
        else:
            line.delete(f"celery-task-meta-{given_}")
    face.close()
