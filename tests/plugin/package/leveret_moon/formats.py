"""A serializer that writes Python literals, and a compression that only looks like one."""

import ast

from leveret.errors import DecodeError
from leveret.logic.compression import Compression
from leveret.logic.serializers import Serializer

LITERALS = Serializer(
    "literals",
    "application/x-python-literals",
    "utf-8",
    lambda value: repr(value).encode(),
    lambda data: ast.literal_eval(data.decode()),
)


def _unreverse(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise DecodeError("too large")
    return data[::-1]


REVERSED = Compression("reversed", "application/x-reversed", lambda data: data[::-1], _unreverse)
