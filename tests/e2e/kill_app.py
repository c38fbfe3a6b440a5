"""The app of the kill test: every start and end of a run is one line in the history file."""

import asyncio
import os
import signal
import time
from pathlib import Path

from leveret import Leveret

app = Leveret("kill_app", broker=os.environ["KILL_URL"], lease_seconds=float(os.environ["KILL_LEASE"]))


def note(what: str, id: str) -> None:
    with Path(os.environ["KILL_HISTORY"]).open("a") as file:
        file.write(f"{what} {id} {os.getpid()} {time.time():.4f}\n")


@app.task(bind=True)
def work(self, seconds: float) -> str:
    note("start", self.request.id)
    time.sleep(seconds)
    note("done", self.request.id)
    return self.request.id


@app.task(bind=True)
async def work_async(self, seconds: float) -> str:
    note("start", self.request.id)
    await asyncio.sleep(seconds)
    note("done", self.request.id)
    return self.request.id


@app.task(bind=True)
def kill_process(self) -> None:
    note("start", self.request.id)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(bind=True)
def stop_process(self) -> None:
    note("start", self.request.id)
    os.kill(os.getpid(), signal.SIGSTOP)


@app.task(bind=True)
def kill_container(self) -> None:
    """What the kernel does to a whole memory cgroup: supervisor, forkserver and children go at one stroke."""
    note("start", self.request.id)
    os.killpg(os.getpgrp(), signal.SIGKILL)
