from hashlib import sha1

import pytest
from msgspec.structs import replace

from leveret.errors import MessageTooLarge
from leveret.links.redis.results import records
from leveret.links.redis.results.records import Keys, arguments, pushed, read
from leveret.model.message import TaskId
from leveret.model.settlement import Record

DONE = b'{"status":"SUCCESS","result":1}'
CELERYS = b'{"status": "SUCCESS", "result": 2, "retries": 3}'
STARTED = b'{"status": "STARTED", "result": null}'
RETRIED = b'{"status": "RETRY", "result": null}'


def record(**facts) -> Record:
    return Record(**{"id": TaskId("a"), "attempt": 0, "state": "SUCCESS", "meta": DONE, "terminal": True, **facts})


def kept(made: Record) -> tuple[bytes | None, bytes | None]:
    """What is in the store after the script has stored it."""
    document, facts, _ = arguments(made, 60)
    return document or None, facts


def facts(**changes) -> bytes:
    return arguments(record(**changes), 60)[1]


def test_both_keys_carry_the_prefix_and_share_a_slot():
    assert Keys("").pairs(["a"]) == ["celery-task-meta-a", "leveret:{celery-task-meta-a}"]
    keys = Keys("app_")
    assert keys.pairs(["a"]) == ["app_celery-task-meta-a", "app_leveret:{app_celery-task-meta-a}"]
    assert keys.pairs(["a"]) == [keys.document("a"), keys.facts("a")]
    assert keys.join("j") == "app_celery-taskset-meta-j"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, b"0 T - - - SUCCESS"),
        (
            {"attempt": 3, "state": "FAILURE", "meta": b'{"status": "FAILURE"}'},
            b'3 T - - - FAILURE\n{"status": "FAILURE"}',
        ),
        ({"state": "STARTED", "meta": STARTED, "terminal": False}, b"0 - - - - STARTED"),
        ({"state": "RETRY", "meta": RETRIED, "terminal": False, "not_before": 12.5}, b"0 R - 12.5 - RETRY"),
        ({"state": "RETRY", "meta": b"", "terminal": False}, b"0 RE - - - RETRY"),
        ({"tombstone": True, "meta": b""}, b"0 TB - - - SUCCESS\n"),
        ({"tombstone": True, "state": "RETRY", "terminal": False}, b"0 BR - - - RETRY\n" + DONE),
        (
            {"meta": b"\x81", "content_type": "application/x-msgpack"},
            b"0 T " + sha1(b"\x81").hexdigest().encode() + b" - application/x-msgpack SUCCESS",
        ),
        ({"state": "at 5 %\n", "meta": b"{}", "terminal": False}, None),
    ],
)
def test_facts_are_one_readable_line(changes, line):
    written = facts(**changes)

    assert line is None or written == line
    assert b"\n" not in written or changes.get("tombstone") or changes.get("attempt")


def test_a_digest_stands_where_the_head_says_nothing():
    plain, other = facts(), facts(meta=b'{"result":1,"status":"SUCCESS"}')

    assert plain.split()[2] == b"-"
    assert other.split()[2] == sha1(b'{"result":1,"status":"SUCCESS"}').hexdigest().encode()
    assert facts(meta=b'{"status":"FAILURE"}').split()[2] != b"-", "the head says another state"


@pytest.mark.parametrize(
    ("seconds", "tombstone", "milliseconds"),
    [
        (None, False, 0),
        (86_400.0, False, 86_400_000),
        (0.0, False, 1),
        (0.25, False, 250),
        (None, True, 60_000),
        (5.0, True, 5000),
    ],
)
def test_terms_are_whole_milliseconds(seconds, tombstone, milliseconds):
    assert arguments(record(expires_after=seconds, tombstone=tombstone), 60)[2] == milliseconds


def test_what_no_redis_takes_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(records, "MOST_BYTES", 10)

    with pytest.raises(MessageTooLarge, match="the result of a has 31 bytes"):
        arguments(record(), 60)


@pytest.mark.parametrize(
    "made",
    [
        record(),
        record(attempt=7, state="FAILURE", meta=b'{"status": "FAILURE"}'),
        record(state="RETRY", meta=RETRIED, terminal=False, not_before=1_700_000_000.123),
        record(state="RETRY", meta=b"", terminal=False),
        record(state="PROGRESS", meta=b"7", terminal=False),
        record(state="50 % done\n", meta=b"7", terminal=False),
        record(tombstone=True, meta=b""),
        record(tombstone=True, meta=b"a\nb"),
        record(tombstone=True, state="RETRY", meta=RETRIED, terminal=False, not_before=5.0),
        record(meta=bytes(range(256)), content_type="application/x-msgpack"),
        record(content_type="text/x; charset=utf 8", meta=b"x"),
    ],
)
def test_what_was_written_is_read(made):
    assert read("a", kept(made)) == made


def test_nothing_is_nothing():
    assert read("a", (None, None)) is None
    assert read("a", (b"", None)) is None


@pytest.mark.parametrize(
    "line", [b"", b"x", b"0 T - - -", b"0 Q - - - SUCCESS", b"0 T - x - SUCCESS", b"-1 T - - - A", b"\xff" * 60]
)
def test_facts_that_are_none_say_nothing(line):
    assert read("a", (None, line)) is None
    assert read("a", (CELERYS, line)) == record(meta=CELERYS)


def test_a_document_of_celerys_alone_is_read():
    assert read("a", (CELERYS, None)) == record(meta=CELERYS)
    assert read("a", (STARTED, None)) == record(meta=STARTED, state="STARTED", terminal=False)


def test_a_document_deleted_by_celery_is_forgotten():
    assert read("a", (None, facts())) is None
    assert read("a", (None, facts(tombstone=True))) is not None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        # The end of either is an end.
        ({"state": "STARTED", "terminal": False, "attempt": 2}, CELERYS, {"meta": CELERYS, "attempt": 2}),
        ({"state": "FAILURE"}, CELERYS, {"meta": CELERYS}),
        ({"tombstone": True, "meta": b""}, CELERYS, {"meta": CELERYS}),
        # Nothing else of theirs hides an end of ours; its document is gone.
        ({"state": "FAILURE"}, STARTED, {"state": "FAILURE", "meta": b""}),
        ({"tombstone": True}, STARTED, {"tombstone": True}),
        # A retry of ours has to be replayed by whoever finds it.
        (
            {"state": "RETRY", "terminal": False, "not_before": 5.0},
            STARTED,
            {"state": "RETRY", "terminal": False, "not_before": 5.0, "meta": b""},
        ),
        (
            {"state": "PROGRESS", "terminal": False, "attempt": 1},
            STARTED,
            {"state": "STARTED", "terminal": False, "attempt": 1, "meta": STARTED},
        ),
    ],
)
def test_what_celery_wrote_over_ours(ours, theirs, expected):
    assert read("a", (theirs, facts(**ours))) == record(**expected)


def test_a_pushed_end_needs_no_second_look():
    assert pushed("a", CELERYS, None) == record(meta=CELERYS)
    assert pushed("a", CELERYS, record(attempt=2, state="STARTED", terminal=False)) == record(meta=CELERYS, attempt=2)


def test_a_push_that_does_not_tell_all_asks_for_a_look():
    assert pushed("a", STARTED, None) is None
    retried = record(state="RETRY", terminal=False)
    assert pushed("a", CELERYS, retried) is None, "its attempt is not known"
    assert pushed("a", b"\xff", replace(retried, state="STARTED")) is None


def test_the_end_of_a_retried_task_survives_a_retry_that_celery_stores_late():
    """It sends the next attempt first, which may end here before."""
    _, line = kept(record(attempt=2))

    found = read("a", (RETRIED, line))

    assert found is not None and found.terminal
    assert (found.attempt, found.state, found.meta) == (2, "SUCCESS", DONE)
