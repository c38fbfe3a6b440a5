"""The app of the kill test and the fault drills: every start and end of a run is one line in the history file.

Environment: KILL_URL, KILL_HISTORY, KILL_LEASE; KILL_SETTINGS is JSON with any further settings.
"""

import asyncio
import json
import os
import signal
import time
from typing import Any

from tests.e2e.history import Pen

from leveret import Leveret
from leveret.links.redis.results.backend import RedisBackend
from leveret.links.sql.backend import SqlBackend
from leveret.model.settlement import Record

app = Leveret(
    "kill_app",
    broker=os.environ["KILL_URL"],
    lease_seconds=float(os.environ["KILL_LEASE"]),
    **json.loads(os.environ.get("KILL_SETTINGS", "{}")),
)
note = Pen(os.environ["KILL_HISTORY"])


def watch_the_store(face: type[SqlBackend] | type[RedisBackend]) -> None:
    """Write a line for every terminal outcome that a store apart from the broker has accepted."""
    right = face.store

    async def store(self: Any, records: tuple[Record, ...]) -> tuple[bool, ...]:
        accepted = await right(self, records)
        for record, ours in zip(records, accepted, strict=True):
            if ours and record.terminal:
                note("commit", record.id, note=record.state)
        return accepted

    face.store = store  # type: ignore[method-assign] # it only listens


watch_the_store(SqlBackend)
watch_the_store(RedisBackend)


@app.task(bind=True)
def work(self: Any, seconds: float, key: str = "") -> str:
    note("start", self.request.id, node=self.request.hostname, key=key)
    time.sleep(seconds)
    note("done", self.request.id, node=self.request.hostname, key=key)
    return key or self.request.id


@app.task(bind=True)
async def work_async(self: Any, seconds: float, key: str = "") -> str:
    note("start", self.request.id, node=self.request.hostname, key=key)
    await asyncio.sleep(seconds)
    note("done", self.request.id, node=self.request.hostname, key=key)
    return key or self.request.id


@app.task(bind=True, max_retries=1)
def twice(self: Any, seconds: float, key: str = "") -> str:
    """Work that asks for a second attempt: it goes over the ladder of delays."""
    note("start", self.request.id, node=self.request.hostname, key=f"{key}/{self.request.retries}")
    time.sleep(seconds)
    note("done", self.request.id, node=self.request.hostname, key=f"{key}/{self.request.retries}")
    if not self.request.retries:
        raise self.retry(countdown=1)
    note("done", self.request.id, node=self.request.hostname, key=key)
    return key or self.request.id


@app.task(bind=True)
def kill_process(self: Any) -> None:
    note("start", self.request.id)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
def stop_process(self: Any) -> None:
    note("start", self.request.id)
    os.kill(os.getpid(), signal.SIGSTOP)
    note("done", self.request.id)


@app.task(bind=True)
def kill_container(self: Any) -> None:
    """What the kernel does to a whole memory cgroup: supervisor, forkserver and children go at one stroke."""
    note("start", self.request.id)
    os.killpg(os.getpgrp(), signal.SIGKILL)
