import asyncio
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager

import pytest
from tests.unit.worker.rig import Rig

from leveret.model.control import Broken, Drained, Quiet, Ready, Tally
from leveret.supervisor.channel import child_end, pair
from leveret.worker.process import ProcessHooks, run_process


def start(rig, **options):
    """Run a process beside: here the test plays the supervisor, and the process is this one."""

    @asynccontextmanager
    async def build(hooks):
        yield rig.worker(hooks=hooks)

    supervisor, theirs = pair()
    return supervisor, lambda: run_process(build, rig.executor, child_end(theirs), **options)


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_a_process_is_ready_runs_and_drains_when_told(pool):
    rig = Rig(pool=pool)
    told = []
    rig.tasks.add(lambda: told.append("ran") or supervisor.send(Quiet(None, "because")), "last")
    supervisor, run = start(rig, tasks=("last",))
    asyncio.run(rig.send("last"))

    assert run() == 0

    assert supervisor.receive(1) == Ready(os.getpid(), "s1", ("last",))
    assert supervisor.receive(1) == Tally(0, 1)
    assert supervisor.receive(1) == Drained("because", {"last": 1})
    assert told == ["ran"]


@pytest.mark.parametrize("pool", ["prefork", "threads", "asyncio"])
def test_the_lifespan_surrounds_all_work_on_the_loop_of_the_tasks(pool):
    rig = Rig(pool=pool)
    story = []

    @asynccontextmanager
    async def lifespan():
        story.append(("enter", id(asyncio.get_running_loop())))
        yield "resource"
        story.append(("leave", id(asyncio.get_running_loop())))

    async def look():
        from leveret.model.request import CURRENT

        story.append((CURRENT.get().lifespan, id(asyncio.get_running_loop())))
        supervisor.send(Quiet())

    rig.tasks.add(look)
    supervisor, run = start(
        rig, lifespan=lifespan(), hooks=ProcessHooks(on_lifespan=lambda value: setattr(rig.runner, "lifespan", value))
    )
    asyncio.run(rig.send("look"))

    assert run() == 0

    assert [word for word, _ in story] == ["enter", "resource", "leave"]
    assert len({loop for _, loop in story}) == 1


def test_a_broken_lifespan_is_told_and_nothing_is_claimed():
    rig = Rig(pool="prefork")

    @contextmanager
    def lifespan():
        raise ValueError("no database")
        yield

    supervisor, run = start(rig, lifespan=lifespan())

    assert run() == 1
    told = supervisor.receive(1)
    assert isinstance(told, Broken) and "no database" in told.error and told.permanent


def test_the_supervisors_end_is_the_process_end():
    rig = Rig(pool="prefork")
    rig.tasks.add(lambda: supervisor.close(), "orphan")
    supervisor, run = start(rig)
    asyncio.run(rig.send("orphan"))

    assert run() == 0


STUCK = """
import asyncio, sys, time
from contextlib import asynccontextmanager
from leveret.model.control import StopNow
from leveret.supervisor.channel import child_end, pair
from leveret.worker.process import run_process
from tests.unit.worker.rig import Rig

rig = Rig(pool=sys.argv[1])

def stuck():
    if sys.argv[2] == "stop":
        supervisor.send(StopNow())
    time.sleep(60)

rig.tasks.add(stuck, time_limit=0.1 if sys.argv[2] == "limit" else None)
asyncio.run(rig.send("stuck"))

@asynccontextmanager
async def build(hooks):
    yield rig.worker(hooks=hooks)
    (counts,) = await rig.driver.admin().counts(("default",))
    print(counts.ready, counts.claimed, flush=True)

supervisor, theirs = pair()
run_process(build, rig.executor, child_end(theirs))
print("unreachable")
"""


@pytest.mark.parametrize(("how", "counts"), [("limit", "0 0"), ("stop", "1 0")])
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_job_that_cannot_be_stopped_does_not_hold_the_process(pool, how, counts):
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", STUCK, pool, how],
        capture_output=True,
        text=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": "src:."},
    )

    assert done.stdout.split("\n")[0] == counts, done
    assert "unreachable" not in done.stdout
    assert done.returncode == 0 and time.monotonic() - begun < 10
