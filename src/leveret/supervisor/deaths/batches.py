"""Which calls a slot runs at once: a file beside the slot page, evidence like the page itself.

Written before the slot's record says that it runs a batch; a check sum tells a file that was cut short.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

import msgspec

from leveret.model.node import Running

_WRITE = msgspec.msgpack.Encoder().encode
_READ: Callable[[bytes], tuple[Running, ...]] = msgspec.msgpack.Decoder(tuple[Running, ...]).decode
_CHECK_BYTES = 4


def beside(page: str | Path, slot: int) -> str:
    """Not a name by which pages are looked for."""
    return str(Path(page).with_name(f"batch-{Path(page).name}.{slot}"))


def write_batch(path: str, running: Sequence[Running]) -> None:
    body = _WRITE(running)
    # Where the folder is full, who ran is unknown: the record says so by a file that is not there, or another's.
    with suppress(OSError):
        Path(path).write_bytes(crc32(body).to_bytes(_CHECK_BYTES, "big") + body)


def read_batch(path: str, first: Running) -> tuple[Running, ...] | None:
    """None: it cannot be read, or is of another run than the one whose first call is `first`."""
    try:
        data = Path(path).read_bytes()
        if crc32(data[_CHECK_BYTES:]) != int.from_bytes(data[:_CHECK_BYTES], "big"):
            return None
        found = _READ(data[_CHECK_BYTES:])
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found and (found[0].receipt, found[0].started) == (first.receipt, first.started) else None
