"""What Celery's serializers and compressions write, told apart without trusting any of it."""

import pickle

import pytest
from kombu.serialization import dumps
from tests.interop.test_celery import make_codec

from leveret.logic.compression import GZIP, pack
from leveret.logic.results import write_meta
from leveret.logic.wire.foreign import content_type_of, head_status, status_of

META = {"status": "SUCCESS", "result": {"status": "FAILURE"}, "traceback": None, "children": [], "task_id": "x"}
TYPES = {
    "json": "application/json",
    "yaml": "application/x-yaml",
    "msgpack": "application/x-msgpack",
    "pickle": "application/x-python-serialize",
}


def written(serializer: str, meta: object = META) -> bytes:
    _, _, payload = dumps(meta, serializer)
    return payload.encode() if isinstance(payload, str) else payload


@pytest.mark.parametrize("serializer", sorted(TYPES))
def test_the_status_of_every_serializer_is_found(serializer):
    document = written(serializer)

    assert status_of(document) == "SUCCESS"
    assert content_type_of(document) == TYPES[serializer]


@pytest.mark.parametrize("serializer", sorted(TYPES))
def test_it_is_found_through_a_compression(serializer):
    document = pack(written(serializer), GZIP)

    assert status_of(document) == "SUCCESS"
    assert content_type_of(document) == TYPES[serializer]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_is_looked_through(protocol):
    assert status_of(pickle.dumps(META, protocol)) == "SUCCESS"


def test_a_pickle_is_never_run():
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was run",))

    assert status_of(pickle.dumps({"status": "FAILURE", "result": Bomb()})) == "FAILURE"
    assert status_of(pickle.dumps({"result": Bomb()})) is None


def test_the_head_is_not_fooled_by_what_a_user_stored():
    assert head_status(b'{"status":"PROGRESS","result":{"status":"SUCCESS"}}') == "PROGRESS"
    assert head_status(b'{"result":{"status":"SUCCESS"},"status":"PROGRESS"}') is None
    assert status_of(b'{"result":{"status":"SUCCESS"},"status":"PROGRESS"}') == "PROGRESS"
    assert status_of(b'{"result": "{\\"status\\": \\"SUCCESS\\"", "status": "RETRY"}') == "RETRY"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"status": 5}',
        b"\x80\x04",
        bytes(range(256)),
        b"\x00celery-compressed\x00x\x00y",
        b"%",
    ],
)
def test_what_says_nothing_has_no_status(document):
    assert status_of(document) is None


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_what_our_own_codec_writes_has_a_status(compression):
    assert status_of(write_meta(make_codec(compression), id="x", status="RETRY", result=1)) == "RETRY"
