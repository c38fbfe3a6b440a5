"""The app of the drill on batch tasks: what a batch does is told on a socket of the test's, as it happens."""

import os
import signal
import socket
import time
from typing import Any

from leveret import Batch, Call, Leveret

app = Leveret(
    "batch",
    broker=os.environ["REVOKE_BROKER"],
    backend=os.environ.get("REVOKE_RESULTS") or None,
    task_default_queue="batch",
)
_SOCKET = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_TO = ("127.0.0.1", int(os.environ["REVOKE_PORT"]))
SIZE, SECONDS, POISON = 20, 0.03, 13


def tell(what: str, name: Any) -> None:
    _SOCKET.sendto(f"{what} {name}".encode(), _TO)


def _work(calls: list[Call]) -> list[Any]:
    tell("sizes", len(calls))
    if len(calls) > 1:
        # Not one that is tried alone: whoever dies there three times is parked, and rightly.
        tell("began", os.getpid())
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.002)
    if any(call.kwargs.get("poison") for call in calls):
        os.kill(os.getpid(), signal.SIGKILL)
    for call in calls:
        tell("ran", call.args[0])
    return [ValueError(call.args[0]) if call.args[0] % 10 == 7 else call.args[0] for call in calls]


@app.task(batch=Batch(size=SIZE, within=0.3))
def work(calls: list[Call]) -> list[Any]:
    return _work(calls)


@app.task(batch=Batch(size=SIZE, within=0.3))
async def awork(calls: list[Call]) -> list[Any]:
    return _work(calls)


@app.task(bind=True)
def follow(self: Any, n: int) -> None:
    """Behind every call, whatever became of it."""
    tell("followed", n)
    tell("ended", f"{n}:{self.request.id}")
