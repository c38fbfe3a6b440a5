"""The app of the drills on revoking: what a task does is told on a socket of the test's, as it happens."""

import asyncio
import os
import socket
import time
from typing import Any

from leveret import Leveret, control_command, inspect_command

app = Leveret(
    "revoke",
    broker=os.environ["REVOKE_BROKER"],
    backend=os.environ.get("REVOKE_RESULTS") or None,
    task_default_queue="revoke",
    control_key=os.environ.get("REVOKE_KEY") or (),
)
_SOCKET = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
_TO = ("127.0.0.1", int(os.environ["REVOKE_PORT"]))


def tell(what: str, name: Any) -> None:
    _SOCKET.sendto(f"{what} {name}".encode(), _TO)


@app.task
def mark(name: str) -> str:
    """One that must not run, or must."""
    tell("ran", name)
    return name


@app.task
def join(names: list[str]) -> None:
    tell("joined", "")


@app.task(bind=True)
def work(self: Any, kind: str, seconds: float) -> str:
    tell(f"{kind}-began", self.request.id)
    end = time.monotonic() + seconds
    # In small steps: a thread is told between two instructions, not in the middle of a long sleep.
    while time.monotonic() < end:
        time.sleep(0.002)
    tell(f"{kind}-ended", self.request.id)
    return kind


@app.task(bind=True)
async def awork(self: Any, kind: str, seconds: float) -> str:
    tell(f"{kind}-began", self.request.id)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        tell(f"{kind}-cancelled", self.request.id)
        raise
    tell(f"{kind}-ended", self.request.id)
    return kind


@inspect_command(args=[("n", int)], signature="[N]")
def doubled(state: Any, n: int = 1) -> Any:
    """Double a number, and tell where."""
    return {"doubled": 2 * n, "node": state.hostname, "tasks": len(state.app.tasks), "pid": os.getpid()}


@control_command(name="shout")
def shout_it(state: Any, word: str = "") -> str:
    tell("shouted", word)
    return word.upper()
