"""A real node, a node that only seems to be there, and every situation that `explain` must tell from the others."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.e2e.harness import ROOT

from leveret import AsyncResult, chain, chord, group
from leveret.model.delivery import Claim, Encoded, Posting, SessionId
from leveret.model.limiting.gate import BreakerBound, BudgetBound, Entry, Exit, RateBound, SlotBound
from leveret.model.node import Node, Session
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import Drivers, open_drivers

TASKS = "tests.e2e.insight.explain_app"
SEEMING = Node(
    name="seems@there", incarnation="i", boot="b", pid=os.getpid(), queues=("full", "held", "strange"),
    tasks=(f"{TASKS}.add", f"{TASKS}.adder"),
)  # fmt: skip
HOLDER = SessionId("holder")


class Stage:
    """An app on a broker, with one node that runs queue `served`; `seeming` is one that consumes and runs nothing."""

    def __init__(self, folder: Path, broker: str, results: str = "", queues: str = "served") -> None:
        self.folder, self.places = folder, {"EXPLAIN_BROKER": broker, "EXPLAIN_RESULTS": results}
        os.environ.update(self.places)
        sys.modules.pop(TASKS, None)
        self.tasks: Any = import_module(TASKS)
        self.app = self.tasks.app
        self.results: dict[str, Any] = {}
        self.wrong: dict[str, str] = {}
        self._node = self._start(queues)

    def _start(self, queues: str) -> "subprocess.Popen[bytes]":
        with (self.folder / "node.log").open("wb") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "leveret.cli", "worker", "-A", TASKS),
                    *("-P", "prefork", "-c", "2", "-Q", queues, "-n", "real@here"),
                ],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}", **self.places},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def drivers(self, work: Callable[[Drivers], Any]) -> Any:
        """Do `work` on a loop and drivers of its own; nodes that it registers are believed for long."""

        async def run() -> Any:
            settings = self.app.conf.settings
            drivers = open_drivers(_patient(settings), SystemClock())
            try:
                return await work(drivers)
            finally:
                await drivers.broker.broker().close()

        return asyncio.run(run())

    def until(self, name: str, code: str, timeout: float = 30.0) -> Any:
        """The explanation of a situation, once it has come about."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.results[name].explain()
            if found.why.code == code or time.monotonic() > deadline:
                return found
            time.sleep(0.1)

    def log(self) -> str:
        return (self.folder / "node.log").read_text(errors="replace")[-3000:]

    def close(self) -> None:
        try:
            os.killpg(self._node.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._node.wait()
        self.app.close()


def _patient(settings: Any) -> Any:
    from dataclasses import replace

    return replace(settings, lease_seconds=600.0)


@dataclass(frozen=True)
class Situation:
    code: str
    says: str
    """A regular expression."""
    stage: Callable[[Stage], Any]
    """Answers the result that is asked about."""
    everywhere: bool = True
    """False: RabbitMQ cannot tell."""


def delayed(stage: Stage) -> Any:
    return stage.tasks.add.apply_async((1,), countdown=3000)


def expired(stage: Stage) -> Any:
    return stage.tasks.add.apply_async((1,), expires=0.001)


def in_a_row(stage: Stage) -> Any:
    return [stage.tasks.add.apply_async((n,), queue="full") for n in range(4)][-1]


def unknown(stage: Stage) -> Any:
    return stage.app.send_task(f"{TASKS}.ad", (1,), queue="strange")


def claimed(stage: Stage) -> Any:
    result = stage.tasks.add.apply_async((1,), queue="held")

    async def claim(drivers: Drivers) -> None:
        claim = Claim(session=HOLDER, queues=("held",), credit=1, number=1)
        assert await drivers.broker.broker().claim(claim)

    stage.drivers(claim)
    return result


def revoked(stage: Stage) -> Any:
    result = stage.tasks.add.apply_async((1,), countdown=3000)
    result.revoke()
    return result


def revoked_by_group(stage: Stage) -> Any:
    made = group(stage.tasks.add.s(1).set(countdown=2), stage.tasks.add.s(2).set(countdown=2)).apply_async()
    stage.app.control.broadcast("revoke_group", {"group_id": made.id})
    stage.group = made.id  # type: ignore[attr-defined] # for whoever reads a failure
    return made.results[0]


def revoked_by_stamp(stage: Stage) -> Any:
    result = stage.tasks.add.s(1).stamp(shop="north").apply_async(countdown=2)
    stage.app.control.revoke_by_stamped_headers({"shop": "north"})
    return result


def undecodable(stage: Stage) -> Any:
    posting = Posting(
        id="0190a3a0-0000-7000-8000-00000000dead", queue="served",
        encoded=Encoded({"id": "0190a3a0-0000-7000-8000-00000000dead", "task": f"{TASKS}.add"}, b"{no json"),
    )  # fmt: skip
    stage.drivers(lambda drivers: drivers.broker.broker(inline=False).publish((posting,)))
    return AsyncResult(posting.id, app=stage.app)


def chord_body(stage: Stage) -> Any:
    members = [stage.tasks.add.s(1), stage.tasks.add.s(2), stage.tasks.add.s(3).set(queue="nobody")]
    return chord(members)(stage.tasks.total.s())


def failed_chord(stage: Stage) -> Any:
    return chord([stage.tasks.add.s(1), stage.tasks.fail.si()])(stage.tasks.total.s())


def follower(stage: Stage) -> Any:
    return chain(stage.tasks.add.s(1).set(queue="nobody"), stage.tasks.add.s(2)).apply_async()


def ignored(stage: Stage) -> Any:
    return stage.tasks.ignored.delay()


def forgotten(stage: Stage) -> Any:
    result = stage.tasks.add.delay(1)
    result.get(timeout=30)
    result.forget()
    return result


def limited(bound: Any, before: int = 0, fail: bool = False, runs: float = 0.0) -> Callable[[Stage], Any]:
    """A task that a worker has asked the gate about, and given back for as long as it was told."""

    def stage_it(stage: Stage) -> Any:
        async def ask(drivers: Drivers) -> Any:
            gate = drivers.gate()
            assert gate is not None
            others = tuple(Entry(id=f"{bound.key}-{n}", attempt=1, bounds=(bound,)) for n in range(before))
            session = SessionId("limiter")
            await drivers.broker.leases().register(SEEMING, (_session("limiter"),))
            if runs:
                # So that a slot is expected to be taken for so long.
                first = Entry(id=f"{bound.key}-first", attempt=1, bounds=(bound,))
                await gate.enter(session, (first,))
                over = Exit(id=first.id, bounds=(bound,), outcome="success", seconds=runs)
                await gate.leave(session, (over,), {})
            for other in others:
                await gate.enter(session, (other,))
                if fail:
                    await gate.leave(session, (Exit(id=other.id, bounds=(bound,), outcome="failure"),), {})
            (answer,) = await gate.enter(session, (Entry(id=name, attempt=1, bounds=(bound,), task=f"{TASKS}.add"),))
            return answer

        name = SystemClock().new_id()
        answer = stage.drivers(ask)
        return stage.tasks.add.apply_async((1,), task_id=name, countdown=answer.seconds)

    return stage_it


def _session(name: str) -> Session:
    return Session(id=SessionId(name), node=SEEMING.name, incarnation=SEEMING.incarnation, pid=SEEMING.pid)


def paused_queue(stage: Stage) -> Any:
    stage.app.control.pause(queue="halted", by="ann, for the move")
    return stage.tasks.in_a_halted_queue.delay()


def paused_task(stage: Stage) -> Any:
    stage.app.control.pause(task=stage.tasks.halted)
    # Nodes read once a second what is paused.
    time.sleep(1.2)
    return stage.tasks.halted.delay()


def of(name: str, *args: Any) -> Callable[[Stage], Any]:
    return lambda stage: getattr(stage.tasks, name).delay(*args)


def named(id: str) -> Callable[[Stage], Any]:
    return lambda stage: AsyncResult(id, app=stage.app)


AT = r"\d\d:\d\d:\d\d"
SITUATIONS: dict[str, Situation] = {
    "succeeded": Situation("succeeded", rf"^succeeded at {AT} on real@here in .* m?s, .* after it was sent", of("add", 1)),
    "failed": Situation("failed", rf"failed at {AT} on real@here.*: ValueError: no good$", of("fail")),
    "retry": Situation("retry", rf"attempt 2 of 5 at {AT} \(in .*\), after ValueError: not yet", of("again")),
    "rejected": Situation("dead-letter", r"dead letter of queue 'served'.*rejected: not for me", of("reject")),
    "failed as a dead letter": Situation("dead-letter", r"failed: ValueError: beyond repair", of("fail_for_good")),
    "killed processes": Situation("dead-letter", r"it killed 3 processes by signal 11", of("kill")),
    "undecodable": Situation("dead-letter", r"undecodable", undecodable),
    "cancelled": Situation("cancelled", r"revoked.*: no longer needed", of("cancel")),
    "expired": Situation("expired", r"its time was over \(expires\)", expired),
    "revoked by id": Situation("revoked", rf"revoked by its id at {AT}, by .+@.+", revoked),
    "revoked by group": Situation("revoked", rf"revoked with its group \S+ at {AT}, by .+@.+", revoked_by_group),
    "revoked by stamp": Situation("revoked", rf"revoked by its stamp shop=north at {AT}, by .+@.+", revoked_by_stamp),
    "running": Situation("running", rf"runs on real@here since {AT} \(.*\), attempt 1", of("sleep", 600)),
    "claimed": Situation("claimed", r"claimed by a process of seems@there", claimed, everywhere=False),
    "delayed": Situation("delayed", rf"delayed until {AT} \(in 50 min\)", delayed, everywhere=False),
    "no consumer": Situation(
        "no-consumer", r"no worker consumes queue 'nobody'",
        lambda stage: stage.tasks.add.apply_async((1,), queue="nobody"),
    ),
    "paused queue": Situation(
        "paused-queue", rf"queue 'halted' is paused by ann, for the move since {AT}", paused_queue
    ),
    "paused task": Situation(
        "paused-task", rf"tasks of type '\S+.halted' are paused by .+@.+ since {AT}", paused_task
    ),
    "in a row": Situation("queued", r"3 ahead of it in queue 'full'", in_a_row, everywhere=False),
    "unknown task": Situation("unknown-task", r"has a task '\S+.ad' \(the nearest they have: \S+.add", unknown),
    "replaced": Situation("no-consumer", r"no worker consumes queue 'nobody'", of("replaced"), everywhere=False),
    "chord": Situation("chord", r"waits for the other members of its chord: 2 of 3 have ended", chord_body),
    "failed chord": Situation("failed", r"failed.*ChordError.*no good", failed_chord),
    "follows": Situation("follows", r"follows \S+.add\[.*\] \(PENDING\), which has not ended", follower),
    "ignored": Situation("nothing-known", r"nobody wants its result \(ignore_result\)", ignored, everywhere=False),
    "forgotten": Situation("nothing-known", r"by its id it was sent at .*its result is ignored or was forgotten", forgotten),
    "never sent": Situation("nothing-known", r"because no message and no result of it is here", named("order-17")),
    "result expired": Situation(
        "nothing-known", r"results are kept for 24 h \(result_expires\): it has expired",
        named("0190a3a0-0000-7000-8000-000000000001"),
    ),
}  # fmt: skip

LIMITED: dict[str, Situation] = {
    "rate": Situation(
        "rate-limit", rf"waits for rate limit `mail` until {AT} \(in .*\), 2 ahead of it in that line",
        limited(RateBound(key="mail", interval=60.0), before=3),
    ),
    "slots": Situation(
        "concurrency", r"waits for a concurrency slot of `shop:7` until", limited(SlotBound(key="shop:7", slots=1), before=1, runs=900)
    ),
    "breaker": Situation(
        "breaker", rf"the breaker of `charge` is open until {AT}",
        limited(BreakerBound(key="charge", failures=2, within=60, recover=300), before=2, fail=True),
    ),
    "budget": Situation(
        "retry-budget", rf"a retry beyond the budget of `push` until {AT}",
        limited(BudgetBound(key="push", share=0.0, per_second=0.01), before=3),
    ),
}  # fmt: skip
