import json
import pickle
import sys
import zlib
from datetime import UTC, datetime
from types import ModuleType

import pytest
from tests.unit.logic.test_codec import CODEC, make_codec

import leveret.errors
from leveret.errors import ContentDisallowed, DecodeError, RemoteError, TimeLimitExceeded
from leveret.logic.codec import ResultFormat
from leveret.logic.results import (
    SHARED_ERRORS,
    error_info,
    read_document,
    read_meta,
    rebuild,
    write_meta,
    write_success,
)
from leveret.model.message import Message, TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.settlement import Record

MESSAGE = Message(id=TaskId("an-id"), task="proj.add")


def record(meta: bytes, state: str = "SUCCESS", content_type: str = "application/json") -> Record:
    return Record(id=TaskId("an-id"), attempt=0, state=state, meta=meta, content_type=content_type)


def test_a_success_is_celerys_document_in_celerys_order() -> None:
    document = write_success(CODEC, MESSAGE, b"5", 1_700_000_000.622024)

    assert document == (
        b'{"status":"SUCCESS","result":5,"traceback":null,"children":[],'
        b'"date_done":"2023-11-14T22:13:20.622024+00:00","task_id":"an-id"}'
    )


def test_a_member_of_a_group_names_its_group_and_parent() -> None:
    message = Message(id=TaskId("an-id"), task="t", group="g", parent_id="p")

    for extra in ({}, {"name": "t", "args": (1,), "kwargs": {}, "worker": "w@h", "retries": 0, "queue": "q"}):
        meta = read_meta(record(write_success(CODEC, message, b"5", 1.0, **extra)))
        assert (meta.result, meta.group_id, meta.parent_id, meta.name) == (5, "g", "p", extra.get("name"))


def test_the_whole_extended_document_reads_back() -> None:
    children = [[["child", None], None]]

    meta = read_meta(
        record(
            write_meta(
                CODEC,
                id="an-id",
                status="SUCCESS",
                result={"a": b"x"},
                children=tuple(children),
                date_done=1.5,
                name="t",
                args=(1,),
                kwargs={"k": 2},
                worker="w@h",
                retries=3,
                queue="q",
            )
        )
    )

    assert (meta.result, list(meta.children), meta.args, meta.kwargs) == ({"a": b"x"}, children, [1], {"k": 2})
    assert (meta.name, meta.worker, meta.retries, meta.queue) == ("t", "w@h", 3, "q")
    assert meta.date_done == datetime.fromtimestamp(1.5, UTC)


@pytest.mark.parametrize("name", ["json", "msgpack", "yaml", "pickle"])
def test_every_result_serializer_writes_and_reads_results(name: str) -> None:
    codec = make_codec(results=ResultFormat(serializer=name))
    content_type = codec.result_serializer.content_type

    done = record(write_success(codec, MESSAGE, codec.encode_value({"a": 1}), 1.0), content_type=content_type)
    failed = write_meta(codec, id="an-id", status="FAILURE", error=error_info(ValueError("x"), "tb"))

    assert read_meta(done, codec).result == {"a": 1}
    assert repr(rebuild(read_meta(record(failed, "FAILURE", content_type), codec).error)) == "ValueError('x')"


def test_a_pickled_result_is_read_only_where_results_are_pickled() -> None:
    stored = record(pickle.dumps({"status": "SUCCESS"}), content_type="application/x-python-serialize")

    for codec in (None, CODEC):
        with pytest.raises(ContentDisallowed):
            read_meta(stored, codec)


def test_a_pickled_result_is_read_where_messages_or_results_may_be_pickle() -> None:
    stored = record(pickle.dumps({"status": "SUCCESS", "result": 1}), content_type="application/x-python-serialize")

    for codec in (make_codec("json", "pickle"), make_codec(results=ResultFormat(accept=("json", "pickle")))):
        assert read_meta(stored, codec).result == 1


def test_only_accepted_results_are_read_and_those_one_writes() -> None:
    codec = make_codec(results=ResultFormat(serializer="msgpack", accept=("yaml",)))

    written = record(write_meta(codec, id="i", status="SUCCESS", result=1), content_type="application/x-msgpack")
    assert read_meta(written, codec).result == 1
    with pytest.raises(ContentDisallowed):
        read_meta(record(write_meta(CODEC, id="i", status="SUCCESS", result=1)), codec)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "zstd"])
@pytest.mark.parametrize("serializer", ["json", "msgpack"])
def test_compressed_results_are_read_by_anybody(name: str, serializer: str) -> None:
    if name == "zstd":
        pytest.importorskip("backports.zstd")
    codec = make_codec(results=ResultFormat(serializer=serializer, compression=name))
    value = {"text": "a" * 10_000}
    content_type = codec.result_serializer.content_type

    success = write_success(codec, MESSAGE, codec.encode_value(value), 1.0)
    failure = write_meta(codec, id="i", status="FAILURE", error=error_info(ValueError("x" * 10_000), ""))

    assert len(success) < 500 and len(failure) < 500
    for reader in (None, CODEC, codec):
        assert read_meta(record(success, content_type=content_type), reader).result == value
        assert read_meta(record(failure, "FAILURE", content_type), reader).error.type == "ValueError"


def test_a_compressed_result_is_not_inflated_without_end() -> None:
    codec = make_codec(result_bytes=10_000, inflated_bytes=10_000)
    written = write_meta(
        make_codec(results=ResultFormat(compression="gzip")), id="i", status="SUCCESS", result="a" * 50_000
    )

    with pytest.raises(DecodeError, match="more than 40000 bytes"):
        read_meta(record(written), codec)


def test_a_failure_keeps_class_arguments_and_traceback() -> None:
    error = error_info(KeyError("k", object()), "the traceback")

    meta = read_meta(record(write_meta(CODEC, id="an-id", status="FAILURE", error=error, date_done=1.0), "FAILURE"))

    assert meta.error is not None and meta.result is None
    assert (meta.error.type, meta.error.module, meta.traceback) == ("KeyError", "builtins", "the traceback")
    assert meta.error.args[0] == "k" and "object object" in meta.error.args[1]


def test_arguments_that_cannot_be_written_do_not_lose_the_result() -> None:
    written = write_meta(CODEC, id="an-id", status="SUCCESS", result=1, args=(object(),), kwargs={"k": 1})

    meta = read_meta(record(written))

    assert meta.result == 1 and "object object" in meta.args


def test_a_state_of_the_users_own_keeps_its_meta() -> None:
    meta = read_meta(record(write_meta(CODEC, id="an-id", status="PROGRESS", result={"done": 3}), "PROGRESS"))

    assert (meta.status, meta.result, meta.date_done) == ("PROGRESS", {"done": 3}, None)


def test_a_record_without_a_document_is_its_state() -> None:
    assert read_meta(record(b"", "RETRY")).status == "RETRY"


def test_results_celery_compressed_are_read() -> None:
    document = b"\x00celery-compressed\x00application/x-gzip\x00" + zlib.compress(b'{"status": "SUCCESS", "result": 5}')

    assert read_meta(record(document)).result == 5


@pytest.mark.parametrize("document", [b"5", b"{}", b'{"status": 5}', b"{", b"\x00celery-compressed\x00x\x00y"])
def test_what_is_no_result_is_a_decode_error(document: bytes) -> None:
    with pytest.raises(DecodeError):
        read_meta(record(document))


def test_odd_fields_of_a_result_are_passed_over() -> None:
    odd = {"status": "FAILURE", "result": {"exc_type": 5}, "children": 7, "date_done": "x", "retries": "y", "name": 1}

    meta = read_document(odd, "an-id")

    assert (meta.error, meta.children, meta.date_done, meta.retries, meta.name) == (None, (), None, None, None)
    assert read_document({"status": "FAILURE", "result": {"exc_type": "E", "exc_message": "old"}}, "").error == (
        ErrorInfo(type="E", module="builtins", args=("old",), text="old")
    )


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one}{two}")

    def __str__(self) -> str:
        raise RuntimeError

    class Inner(Exception):
        pass


def test_an_exception_is_data_whatever_its_class_does() -> None:
    info = error_info(Odd(1, 2), "x" * 100_000)

    assert (info.type, info.args) == ("Odd", ("12",))
    assert "RuntimeError" in info.text
    assert len(info.traceback) < 66_000 and "left out" in info.traceback


def test_an_exception_is_its_class_again_where_that_is_loaded() -> None:
    assert repr(rebuild(error_info(Odd.Inner(1)))) == "Inner(1)"
    assert repr(rebuild(error_info(json.JSONDecodeError("m", "d", 0)))).startswith("RemoteError")
    assert isinstance(rebuild(error_info(Odd(1, 2))), RemoteError)
    assert isinstance(rebuild(ErrorInfo(type="TimeLimitExceeded", module="billiard.exceptions.nowhere")), RemoteError)


@pytest.mark.parametrize("loaded", [True, False])
def test_celerys_own_errors_are_ours_whether_celery_is_loaded_or_not(monkeypatch, loaded: bool) -> None:
    theirs = ModuleType("billiard.exceptions")
    theirs.TimeLimitExceeded = type("TimeLimitExceeded", (Exception,), {})
    theirs.Odd = type("Odd", (Exception,), {})
    monkeypatch.setitem(sys.modules, "billiard.exceptions", theirs if loaded else None)

    assert isinstance(rebuild(ErrorInfo(type="TimeLimitExceeded", module="billiard.exceptions")), TimeLimitExceeded)
    assert isinstance(
        rebuild(ErrorInfo(type="Odd", module="billiard.exceptions")), theirs.Odd if loaded else RemoteError
    )


def test_our_errors_that_celery_has_too_are_written_as_celerys() -> None:
    written = write_meta(CODEC, id="i", status="FAILURE", error=error_info(TimeLimitExceeded("too long")))
    own = write_meta(CODEC, id="i", status="FAILURE", error=error_info(RemoteError("Odd", "nowhere")))

    assert json.loads(written)["result"] == {
        "exc_type": "TimeLimitExceeded",
        "exc_message": ["too long"],
        "exc_module": "celery.exceptions",
    }
    assert json.loads(own)["result"]["exc_module"] == "leveret.errors"
    assert isinstance(rebuild(read_document(json.loads(written), "i").error), TimeLimitExceeded)


def test_the_shared_errors_are_in_celerys_module_and_in_ours() -> None:
    import celery.exceptions

    for name in SHARED_ERRORS:
        assert issubclass(getattr(celery.exceptions, name), BaseException)
        assert issubclass(getattr(leveret.errors, name), BaseException)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "SystemExit"),
        ("builtins", "KeyboardInterrupt"),
        ("builtins", "StopIteration"),
        ("builtins", "GeneratorExit"),
        ("asyncio.exceptions", "CancelledError"),
        ("builtins", "int"),
        ("builtins", "eval"),
        ("never.imported", "Error"),
        ("builtins", "ValueError.mro"),
        ("builtins", ""),
    ],
)
def test_data_rebuilds_nothing_but_loaded_errors(module: str, name: str) -> None:
    made = rebuild(ErrorInfo(type=name, module=module, args=("echo",)))

    assert isinstance(made, RemoteError)
    assert (made.type_name, made.module, made.remote_args) == (name, module, ("echo",))
