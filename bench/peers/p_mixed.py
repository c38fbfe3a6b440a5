"""Leveret with tasks that sleep as long as they are told and write down when they ran."""

import os
import struct
import time
from typing import Any

from common import BIN, DATA, body, main, option

from leveret import Leveret

app = Leveret("p_mixed")
RECORD = struct.Struct("=IIddd")
RUNS = os.open(DATA / "runs", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


@app.task(ignore_result=True)
def nap(index: int, seconds: float) -> None:
    start = time.monotonic()
    time.sleep(seconds)
    os.write(RUNS, RECORD.pack(index, os.getpid(), start, time.monotonic(), seconds))
    body()


def purge() -> None:
    """The harness gives every run a fresh folder."""


def send(count: int, bulk: bool, payload: Any) -> None:
    order = struct.unpack(f"={count}d", (DATA / "order").read_bytes())
    app.send_many([nap.s(index, seconds) for index, seconds in enumerate(order)])


def worker() -> list[str]:
    return [str(BIN / "leveret"), "worker", "-A", "p_mixed", "-c", option("processes", "2")]


if __name__ == "__main__":
    main("p_mixed")
