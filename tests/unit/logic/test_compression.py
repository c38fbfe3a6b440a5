import bz2
import gzip
import tracemalloc
import zlib

import pytest
from kombu import compression as kombu_compression

from leveret.errors import DecodeError, ImproperlyConfigured
from leveret.logic.compression import Compressions, builtin_compressions

ALL = Compressions(builtin_compressions())
NAMES = ["gzip", "bzip2", "zstd"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"hello", bytes(range(256)) * 1000])
def test_data_comes_back_and_kombu_understands_it(name: str, data: bytes) -> None:
    method = ALL.named(name)

    assert ALL.decompress(method.compress(data), method.content_type, len(data)) == data
    assert kombu_compression.decompress(method.compress(data), method.content_type) == data
    compressed, content_type = kombu_compression.compress(data, name)
    assert content_type == method.content_type
    assert ALL.decompress(compressed, content_type, len(data)) == data


@pytest.mark.parametrize("name", NAMES)
def test_a_bomb_is_stopped_at_the_limit_without_being_inflated(name: str) -> None:
    bomb = ALL.named(name).compress(bytes(64 * 1024 * 1024))

    tracemalloc.start()
    with pytest.raises(DecodeError, match="more than 1048576 bytes"):
        ALL.decompress(bomb, name, 1024 * 1024)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 6 * 1024 * 1024


@pytest.mark.parametrize("name", NAMES)
def test_what_is_cut_short_or_has_more_behind_it_is_refused(name: str) -> None:
    whole = ALL.named(name).compress(b"hello" * 100)

    for data in (whole[:-4], whole + b"tail", b"junk", b""):
        with pytest.raises(DecodeError):
            ALL.decompress(data, name, 10_000)


def test_a_gzip_member_is_read_like_celerys_zlib_stream() -> None:
    assert ALL.decompress(gzip.compress(b"x"), "gzip", 10) == b"x"
    assert ALL.decompress(zlib.compress(b"x"), "zlib", 10) == b"x"
    assert ALL.decompress(bz2.compress(b"x"), "bzip", 10) == b"x"


def test_an_unknown_method_is_the_callers_mistake_or_the_peers() -> None:
    with pytest.raises(ImproperlyConfigured, match="bzip2, gzip, zstd"):
        ALL.named("lzw")
    with pytest.raises(DecodeError, match="lzw"):
        ALL.decompress(b"", "lzw", 1)
