"""The header table of a message. That of a slim one, a task's name and an id (as our client sends nearly all), is the
same for every message of its task but for the id at its end: that much is remembered instead of read or written again.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from leveret.links.amqp.protocol.tables import read_table, write_table

_ID = 36
"""Characters of our ids, and of Celery's."""
_BEFORE_ID = b"\x02idS\0\0\0\x24"
_MOST_REMEMBERED = 300
_U32 = struct.Struct(">I")


def write_headers(headers: Mapping[str, Any]) -> bytes:
    """Raises `EncodeError`."""
    if len(headers) == 2:
        task, name = headers.get("task"), headers.get("id")
        if type(task) is str and type(name) is str and len(name) == _ID and name.isascii():
            return _up_to_id(task) + name.encode()
    return write_table(headers)


@lru_cache(maxsize=1024)
def _up_to_id(task: str) -> bytes:
    return write_table({"task": task, "id": "0" * _ID})[:-_ID]


def read_headers(data: bytes, start: int) -> tuple[Mapping[str, Any], int]:
    """The table at `start` and where it ends. Raises `ProtocolError`, or what `struct` does."""
    end = start + 4 + _U32.unpack_from(data, start)[0]
    at = end - _ID
    if data[at - 8 : at] == _BEFORE_ID and end - start < _MOST_REMEMBERED and end <= len(data):
        task = _task_up_to_id(data[start:at])
        if task is not None:
            try:
                return {"task": task, "id": data[at:end].decode()}, end
            except UnicodeDecodeError:
                pass
    return read_table(data, start)


@lru_cache(maxsize=1024)
def _task_up_to_id(data: bytes) -> str | None:
    """The task's name, where that and the id is all there is."""
    table, _ = read_table(data + b"0" * _ID, 0)
    task = table.get("task")
    return task if list(table) == ["task", "id"] and type(task) is str else None
