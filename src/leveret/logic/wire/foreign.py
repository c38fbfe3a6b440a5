"""What can be told of a result document that somebody else wrote: its serializer, and whether it has ended.

Nothing is trusted: what cannot be read safely has no status. A pickle's opcodes are looked through, never run.
"""

import pickletools
import re
from collections.abc import Mapping
from typing import Any

from leveret.errors import DecodeError, MissingExtra
from leveret.logic.compression import Compressions, builtin_compressions
from leveret.logic.serializers import JSON, MSGPACK, YAML, Serializer

PICKLE_TYPE = "application/x-python-serialize"
_COMPRESSIONS = Compressions(builtin_compressions())
_INFLATED_BYTES = 64 * 1024 * 1024
_HEAD = re.compile(rb'\{"status": ?"([^"\\]*)"')
"""How every JSON document of ours and of Celery's begins; anywhere else the same words may be the user's."""
_YAML_LINE = re.compile(rb"^status: (\S+)\s*$", re.MULTILINE)
"""What a user stored is indented. Parsing YAML takes a second for each megabyte."""
_PICKLED_OPCODES = 200


def head_status(document: bytes) -> str | None:
    """The status where it can be seen without parsing, which is nearly always."""
    found = _HEAD.match(document)
    return None if found is None else found[1].decode("utf-8", "replace")


def content_type_of(document: bytes) -> str:
    """Of what a document looks like, also through its compression."""
    return _serializer(_unpacked(document))[0]


def status_of(document: bytes) -> str | None:
    """The status a document says, None where it is none or says nothing."""
    status = head_status(document)
    if status is not None:
        return status
    data = _unpacked(document)
    content_type, serializer = _serializer(data)
    if content_type == PICKLE_TYPE:
        return _pickled_status(data)
    if serializer is YAML:
        found = _YAML_LINE.search(data)
        return None if found is None else found[1].decode("utf-8", "replace")
    try:
        value: Any = serializer.loads(data) if serializer is not None else None
    except DecodeError:
        return None
    status = value.get("status") if isinstance(value, Mapping) else None
    return status if isinstance(status, str) else None


def _unpacked(document: bytes) -> bytes:
    try:
        return _COMPRESSIONS.unpack(document, _INFLATED_BYTES)
    except (DecodeError, MissingExtra):
        return document


def _serializer(data: bytes) -> tuple[str, Serializer | None]:
    first = data[0] if data else 0x7B
    if first == 0x7B:  # {
        return JSON.content_type, JSON
    if first == 0x80:  # the opcode PROTO; as msgpack it would be an empty map
        return PICKLE_TYPE, None
    if 0x81 <= first <= 0x8F or first in (0xDE, 0xDF):
        return MSGPACK.content_type, MSGPACK
    return YAML.content_type, YAML


def _pickled_status(data: bytes) -> str | None:
    """The text that follows the text "status" in the first opcodes of a pickle."""
    follows = False
    try:
        for number, (_, argument, _) in enumerate(pickletools.genops(data)):
            if number > _PICKLED_OPCODES:
                return None
            if isinstance(argument, str):
                if follows:
                    return argument
                follows = argument == "status"
    except Exception:  # pickletools raises whatever the bytes make it
        return None
    return None
