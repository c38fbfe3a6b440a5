"""gzip, bzip2 and zstd under Celery's names and content types; nothing is inflated beyond a limit.

Celery's "gzip" is a zlib stream with the content type `application/x-gzip` (`kombu/compression.py`); real gzip
members are read too.
"""

import bz2
import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from leveret.errors import DecodeError, ImproperlyConfigured, MissingExtra


@dataclass(frozen=True, slots=True)
class Compression:
    """One method. `decompress(data, limit)` raises `DecodeError` as soon as more than `limit` bytes come out."""

    name: str
    content_type: str
    compress: Callable[[bytes], bytes]
    decompress: Callable[[bytes, int], bytes]
    aliases: tuple[str, ...] = ()


class Compressions:
    """The compressions of one app, found by name, alias or content type."""

    def __init__(self, compressions: Iterable[Compression]) -> None:
        self._known = tuple(compressions)
        self._found = {
            name: compression
            for compression in self._known
            for name in (compression.name, compression.content_type, *compression.aliases)
        }

    def named(self, name: str) -> Compression:
        found = self._found.get(name)
        if found is None:
            known = ", ".join(sorted(compression.name for compression in self._known))
            raise ImproperlyConfigured(f"unknown compression {name!r}: known are {known}")
        return found

    def __iter__(self) -> Iterator[Compression]:
        return iter(self._known)

    def decompress(self, data: bytes, name: str, limit: int) -> bytes:
        """Inflate what a peer sent; an unknown or missing method is a `DecodeError` as any bad data."""
        compression = self._found.get(name)
        if compression is None:
            raise DecodeError(f"compressed with {name!r:.100}, which this process does not know")
        try:
            return compression.decompress(data, limit)
        except MissingExtra as error:
            raise DecodeError(str(error)) from error

    def unpack(self, data: bytes, limit: int) -> bytes:
        """Undo `pack`; what was not packed comes back as it is."""
        if not data.startswith(PACKED):
            return data
        name, _, compressed = data[len(PACKED) :].partition(b"\x00")
        return self.decompress(compressed, name.decode("utf-8", "replace"), limit)


PACKED = b"\x00celery-compressed\x00"
"""No serializer's document begins so."""


def pack(document: bytes, compression: Compression) -> bytes:
    """Compress a result's document; the method's name goes before it (`celery/backends/base.py:compress_payload`)."""
    return b"".join((PACKED, compression.content_type.encode(), b"\x00", compression.compress(document)))


class _Inflater(Protocol):
    """What bz2 and zstd decompressors share."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _too_large(limit: int) -> DecodeError:
    return DecodeError(f"inflates to more than {limit} bytes")


def _gunzip(data: bytes, limit: int) -> bytes:
    # 32: zlib and gzip headers are both recognised.
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        inflated = inflater.decompress(data, limit + 1)
    except zlib.error as error:
        raise DecodeError(f"not gzip: {error}") from error
    if len(inflated) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise DecodeError("not gzip: cut short")
    if inflater.unused_data:
        raise DecodeError("not gzip: more than one member")
    return inflated


def _inflate(inflater: _Inflater, data: bytes, limit: int, name: str) -> bytes:
    try:
        inflated = inflater.decompress(data, limit + 1)
        while not inflater.eof and not inflater.needs_input and len(inflated) <= limit:
            inflated += inflater.decompress(b"", limit + 1 - len(inflated))
    except Exception as error:  # zstd's own error class exists only where zstd does
        raise DecodeError(f"not {name}: {error}") from error
    if len(inflated) > limit:
        raise _too_large(limit)
    if not inflater.eof:
        raise DecodeError(f"not {name}: cut short")
    if inflater.unused_data:
        raise DecodeError(f"not {name}: more than one stream")
    return inflated


def _bunzip2(data: bytes, limit: int) -> bytes:
    return _inflate(bz2.BZ2Decompressor(), data, limit, "bzip2")


def _zstd() -> Any:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            module: ModuleType = importlib.import_module(name)
        except ImportError:
            continue
        return module
    raise MissingExtra("the zstd compression", "zstd")


def _zstd_compress(data: bytes) -> bytes:
    return bytes(_zstd().compress(data))


def _zstd_decompress(data: bytes, limit: int) -> bytes:
    return _inflate(_zstd().ZstdDecompressor(), data, limit, "zstd")


GZIP = Compression("gzip", "application/x-gzip", zlib.compress, _gunzip, ("zlib",))
BZIP2 = Compression("bzip2", "application/x-bz2", bz2.compress, _bunzip2, ("bzip",))
ZSTD = Compression("zstd", "application/zstd", _zstd_compress, _zstd_decompress, ("zstandard",))


def builtin_compressions() -> tuple[Compression, ...]:
    """All three; zstd says what to install at its first use."""
    return (GZIP, BZIP2, ZSTD)
