"""The app of the drills on limits: each start and end of a run is one line in the history.

Environment: as of kill_app; LIMITS_PORT is where the service listens that `call` depends on, LIMITS_RECOVER after how
many seconds its breaker lets one try.
"""

import json
import os
import socket
import time
from typing import Any

from tests.e2e.history import Pen
from tests.e2e.limits.sizes import RATE, SLOTS, TRIES

from leveret import CircuitBreaker, Concurrency, Leveret, Rate

app = Leveret(
    "limits_app",
    broker=os.environ["KILL_URL"],
    lease_seconds=float(os.environ["KILL_LEASE"]),
    **json.loads(os.environ.get("KILL_SETTINGS", "{}")),
)
note = Pen(os.environ["KILL_HISTORY"])


@app.task(bind=True)
def warm(self: Any) -> None:
    note("warm", self.request.id, node=self.request.hostname)
    time.sleep(0.1)


@app.task(bind=True, limits=Rate(f"{RATE}/s"))
def paced(self: Any) -> None:
    note("start", self.request.id, node=self.request.hostname)


@app.task(bind=True, limits=Concurrency(SLOTS))
def held(self: Any, seconds: float) -> None:
    note("start", self.request.id, node=self.request.hostname)
    time.sleep(seconds)
    note("done", self.request.id, node=self.request.hostname)


@app.task(bind=True, unique_for=600)
def once(self: Any, number: int) -> int:
    note("start", self.request.id, key=str(number))
    return number


def ask_the_service() -> None:
    with socket.create_connection(("127.0.0.1", int(os.environ["LIMITS_PORT"])), timeout=2.0) as line:
        if line.recv(2) != b"ok":
            raise ConnectionError("the service hung up")


@app.task(
    bind=True, autoretry_for=(OSError,), max_retries=TRIES - 1, retry_backoff=True, retry_jitter=True,
    breaker=CircuitBreaker(failures=5, within=60, recover=float(os.environ.get("LIMITS_RECOVER", "30"))),
)  # fmt: skip
def call(self: Any, number: int) -> int:
    note("start", self.request.id, key=f"call {number}", note=str(self.request.retries))
    ask_the_service()
    note("done", self.request.id, key=f"call {number}")
    return number


@app.task(bind=True, autoretry_for=(OSError,), max_retries=TRIES - 1, default_retry_delay=0.0, retry_jitter=False)
def unguarded(self: Any, number: int) -> int:
    """Without a breaker: its retries come at once, and only the budget holds them back."""
    note("start", self.request.id, key=f"unguarded {number}", note=str(self.request.retries))
    ask_the_service()
    note("done", self.request.id, key=f"unguarded {number}")
    return number
