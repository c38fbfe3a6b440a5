"""The kill test's machinery: a real `leveret worker`, somebody who kills at random, and a judge who reads the history."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import msgspec
from tests.e2e.harness import ROOT, alive
from tests.e2e.history import History
from tests.e2e.kill_app import app

from leveret.links.amqp import names
from leveret.model.delivery import QueueCounts
from leveret.model.node import Running
from leveret.ports.broker import Capability
from leveret.supervisor.slots import PageUnreadable, SlotReader
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers

NAME = "kill@test"
APP = "tests.e2e.kill_app"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is done; the defaults are the size for CI, a tenth of the full one."""

    pool: str = "prefork"
    tasks: int = 200
    child_kills: int = 3
    running_kills: int = 2
    supervisor_kills: int = 1
    stop_child: bool = False
    """Instead of killing: stop a child that holds 20 unstarted tasks."""
    container_kill: bool = False
    """Instead of killing: one task that kills every process of the node."""
    killers: int = 2
    seed: int = 1
    lease: float = 4.0
    mutant: str = ""

    @property
    def most_runs(self) -> int:
        """In prefork a killer is known at once; elsewhere its first death only makes it a suspect."""
        return 3 if self.pool == "prefork" and not self.container_kill else 4


@dataclass
class Strike:
    """One SIGKILL to a child: what its page said it was running when it died."""

    pid: int
    at: float
    running: tuple[Running, ...]


@dataclass
class Report:
    """What was seen; `problems` is empty when everything held."""

    strikes: list[Strike] = field(default_factory=list)
    supervisor_kills: int = 0
    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


class Node:
    """`leveret worker` in a process group of its own; `restart` keeps the node's name."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.log = folder / "worker.log"
        self.process: subprocess.Popen[bytes]
        module = ["tests.e2e.mutants", plan.mutant] if plan.mutant else ["leveret.cli"]
        self.command = [sys.executable, "-m", *module, "worker", "-A", APP, "-P", plan.pool]
        self.command += ["-n", NAME, "-l", "INFO"]
        self.command += ["-c", "2", "--prefetch-multiplier", "21"] if plan.stop_child else ["-c", "4"]

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)

    def children(self) -> list[tuple[int, SlotReader]]:
        """Pages of living children of this node; the caller closes them."""
        found = []
        for path in Path("/dev/shm").glob("leveret-*/page-*"):
            with suppress(OSError, PageUnreadable):
                reader = SlotReader(path)
                pid = reader.view().pid
                if pid and alive(pid) and os.getsid(pid) == self.process.pid:
                    found.append((pid, reader))
                else:
                    reader.close()
        return found

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class KillRun:
    """Send, kill, wait, judge."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.dice = random.Random(plan.seed)
        self.report = Report()
        self.history = History(Path(os.environ["KILL_HISTORY"]))
        self.node = Node(plan, folder)
        self.drivers = open_drivers(app.conf.settings, SystemClock())
        self.work: list[str] = []
        self.killers: list[str] = []
        self.supervisor_deaths: list[float] = []

    def run(self) -> Report:
        try:
            began = time.monotonic()
            if not self.plan.stop_child:
                self.node.start()
            if self.plan.container_kill:
                self._kill_the_container()
            elif self.plan.stop_child:
                self._stop_a_child()
            else:
                self._send()
                self._kill_at_random()
            self._wait()
            self.report.figures["seconds"] = round(time.monotonic() - began, 2)
            self._stop()
            self._judge()
            return self.report
        finally:
            self.node.end()

    def _send(self) -> None:
        task = app.tasks[f"{APP}.{'work_async' if self.plan.pool == 'asyncio' else 'work'}"]
        killer, every = app.tasks[f"{APP}.kill_process"], max(1, self.plan.tasks // max(1, self.plan.killers))
        for number in range(self.plan.tasks):
            self.work.append(task.delay(self.dice.uniform(0.005, 0.05)).id)
            if number % every == every // 2 and len(self.killers) < self.plan.killers:
                self.killers.append(killer.delay().id)

    def _kill_at_random(self) -> None:
        plan = self.plan
        todo = ["child"] * plan.child_kills + ["supervisor"] * plan.supervisor_kills
        self.dice.shuffle(todo)
        step = plan.tasks / (len(todo) + 1)
        for number, what in enumerate(todo, 1):
            # Spread over the work, so that kills strike a busy node and not an idle one.
            self._until(lambda goal=number * step: self._done() >= goal or self._hopeless())
            if self._hopeless():
                return
            if what == "child":
                self._kill_a_child()
            else:
                self._kill_the_supervisor()
            # Most kills are let recover, so that the time it takes can be judged; the others pile up.
            if self.dice.random() < 0.7:
                self._until(self._recovered, timeout=5.0)

    def _kill_a_child(self) -> None:
        """Prefer one that runs a task which was not struck twice: three strikes would rightly park it."""
        struck = Counter(running.id for strike in self.report.strikes for running in strike.running)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self._hopeless():
                return
            children = self.node.children()
            self.dice.shuffle(children)
            try:
                for pid, page in children:
                    running = page.view().running
                    if running and all(one.id not in self.killers and struck[one.id] < 2 for one in running):
                        at = time.time()
                        os.kill(pid, signal.SIGKILL)
                        _wait_dead(pid)
                        self.report.strikes.append(Strike(pid, at, page.view().running))
                        return
            finally:
                for _, page in children:
                    page.close()
            time.sleep(0.002)
        self.report.problems.append("no child ran a task for 20 s")

    def _kill_the_supervisor(self) -> None:
        self.node.process.kill()
        self.node.process.wait()
        self.report.supervisor_kills += 1
        self.supervisor_deaths.append(time.time())
        # The old group's children may live for 2 s more; the new node must not wait for them.
        self.node.start()

    def _kill_the_container(self) -> None:
        """The node vanishes with whoever could have charged; its successor of the same name takes over."""
        task = app.tasks[f"{APP}.work"]
        self.work = [task.delay(0.3).id for _ in range(self.plan.tasks)]
        self.killers = [app.tasks[f"{APP}.kill_container"].delay().id]
        self.work += [task.delay(0.3).id for _ in range(self.plan.tasks)]
        while not self._over() and not self._overrun(self.starts()):
            if self.node.process.poll() is not None:
                self.report.supervisor_kills += 1
                self.node.start()
            time.sleep(0.02)

    def _stop_a_child(self) -> None:
        """SIGSTOP, as a debugger or a frozen disk would: what it had not begun must start elsewhere."""
        if Capability.LEASE in self.drivers.broker.capabilities:
            waits = self._stop_one(20)
            held = [wait for wait in waits if wait > 2.0]
        else:
            # A broker that pushes shares out among the children, and only as much as short tasks have earned them.
            self.node.start()
            waits, held, tries = [], [], 0
            while len(held) < 20 and tries < 5:
                self.work += [app.tasks[f"{APP}.work"].delay(0.0).id for _ in range(800)]
                self._until(lambda: self._done() == len(self.work))
                waits += (fresh := self._stop_one(80))
                held, tries = [wait for wait in fresh if wait > 2.0], tries + 1
        self._check(len(held) >= 20, f"the stopped child held only {len(held)} unstarted messages")
        self._check(max(waits) <= 15.0, f"unstarted work of a stopped child began after {max(waits):.1f} s")
        self.report.figures |= {"held_unstarted": len(held), "started_elsewhere_after": round(max(waits), 2)}

    def _stop_one(self, others: int) -> list[float]:
        """Answers after how many seconds each of the others began."""
        # It stops itself: within 50 ms the worker would give back what waits behind it by itself.
        stopped = app.tasks[f"{APP}.stop_process"].delay().id
        behind = [app.tasks[f"{APP}.work"].delay(0.01).id for _ in range(others)]
        if not self.work:
            self.node.start()
        self.work += [stopped, *behind]
        self._until(lambda: all(self.starts()[id] for id in behind), timeout=40)
        starts = self.starts()
        os.kill(self.history.of("start")[stopped][0].pid, signal.SIGCONT)
        return [min(starts[id] or [inf]) - starts[stopped][0] for id in behind]

    def _wait(self) -> None:
        """Until every id is terminal; a killer that runs too often ends the wait, for it would never end itself."""
        self._until(lambda: self._over() or self._hopeless(), timeout=60 + self.plan.tasks * 0.1)
        if Capability.COUNTS not in self.drivers.broker.capabilities and not self._hopeless():
            # A message whose holder did not answer comes again for as long as that may still run, to be settled then.
            self._until(self._nothing_waits, timeout=20.0)

    def _nothing_waits(self) -> bool:
        """Seen three times: what is just coming down from the ladder is on neither list, or in a worker's hands."""
        for _ in range(3):
            if any(queue.ready for queue in self._counts()):
                return False
            time.sleep(0.3)
        return True

    def _counts(self) -> tuple[QueueCounts, ...]:
        """The queue, and the rungs of a ladder where its messages may wait."""
        rungs = tuple(map(names.level, range(4)))
        return asyncio.run(self.drivers.broker.admin().counts(("default", *rungs)))

    def _over(self) -> bool:
        return all(self.states().values())

    def states(self) -> dict[str, str]:
        """Id -> its terminal state, or "" while it has none."""
        ids = [*self.work, *self.killers]
        records = self.drivers.blocking_backend().get(ids)
        return {id: record.state if record and record.terminal else "" for id, record in zip(ids, records, strict=True)}

    def _hopeless(self) -> bool:
        starts = self.starts()
        return self._overrun(starts) or any(
            wait == inf and time.time() - at > 10 for at, wait in self._restarts(starts)
        )

    def _overrun(self, starts: dict[str, list[float]]) -> bool:
        return any(len(starts[id]) > self.plan.most_runs for id in self.killers)

    def _stop(self) -> None:
        self.node.process.terminate()
        try:
            code = self.node.process.wait(20)
        except subprocess.TimeoutExpired:
            self.report.problems.append("the node did not stop within 20 s")
        else:
            if code:
                self.report.problems.append(f"the node ended with {code}")

    # Judging

    def _judge(self) -> None:
        starts, states = self.starts(), self.states()
        struck = {running.id for strike in self.report.strikes for running in strike.running}
        counts = Counter(states.values())
        running_kills = sum(bool(strike.running) for strike in self.report.strikes)
        runs = {id: len(starts[id]) for id in self.killers}
        waits = self._undisturbed(starts)
        self._check(not counts[""], f"{counts['']} ids have no terminal state")
        self._check(running_kills >= self.plan.running_kills, f"only {running_kills} kills struck a running task")
        self._check(
            all(states[id] == "SUCCESS" for id in self.work), f"of the innocent, {self._not(states, 'SUCCESS')} failed"
        )
        self._check(all(states[id] == "FAILURE" for id in self.killers), "a killer did not end as FAILURE")
        self._check(
            all(3 <= count <= self.plan.most_runs for count in runs.values()),
            f"killers ran {sorted(runs.values())} times",
        )
        self._check(
            all(wait <= 1.0 for wait in waits), f"restarts took {[round(wait, 2) for wait in sorted(waits)[-5:]]} s"
        )
        self._judge_the_store(states)
        again = [id for id in self.work if len(starts[id]) > 1 and id not in struck]
        self.report.figures |= {
            "states": dict(counts),
            "tasks": len(states),
            "executions": sum(map(len, starts.values())),
            "struck": len(struck),
            "kills_that_struck": running_kills,
            "supervisor_kills": self.report.supervisor_kills,
            "run_again_though_not_struck": len(again),
            "killer_runs": sorted(runs.values()),
            "restarts_timed": len(waits),
            "restart_seconds_max": round(max(waits, default=0.0), 3),
            "restart_seconds_max_among_other_deaths": round(
                max((w for _, w in self._restarts(starts)), default=0.0), 3
            ),
        }

    def _judge_the_store(self, states: dict[str, str]) -> None:
        """Nothing is left over, and only killers are dead letters: nobody else was charged to the end."""

        async def look() -> tuple[Any, Any]:
            admin = self.drivers.broker.admin()
            return await admin.counts(), await admin.dead(None, 1000)

        counts, dead = asyncio.run(look())
        for queue in counts:
            # What a broker does not tell is in no worker's hands any more: the node has ended.
            left = queue.ready + (queue.delayed or 0) + (queue.claimed or 0)
            self._check(not left, f"{left} messages are left in {queue.queue}")
        letters = sorted(letter.id for letter in dead)
        self._check(letters == sorted(self.killers), f"{len(letters)} dead letters for {len(self.killers)} killers")
        self._check(all(len(letter.charges) == 3 for letter in dead), "a dead letter has not 3 charges")

    def _restarts(self, starts: dict[str, list[float]]) -> list[tuple[float, float]]:
        """Of each task that was struck: when, and seconds to its next start (infinite: none, though it has not ended)."""
        states = self.states()
        return [
            (strike.at, min((at - strike.at for at in starts[running.id] if at > strike.at), default=inf))
            for strike in self.report.strikes
            for running in strike.running
            # One that had stored its outcome when it was struck is not run again, and must not be.
            # A page that outlived its node, under a process id given anew, names tasks that are not ours.
            if running.id in states and (not states[running.id] or any(at > strike.at for at in starts[running.id]))
        ]

    def _recovered(self) -> bool:
        return not self.report.strikes or all(wait < inf for _, wait in self._restarts(self.starts()))

    def _undisturbed(self, starts: dict[str, list[float]]) -> list[float]:
        """The waits during which nothing else died: a second death on the way is no measure of the first recovery."""
        deaths = [strike.at for strike in self.report.strikes] + self.supervisor_deaths
        deaths += [at for id in self.killers for at in starts[id]]
        return [
            wait
            for struck, wait in self._restarts(starts)
            if wait == inf or not any(death != struck and struck - 0.3 < death < struck + wait for death in deaths)
        ]

    def _not(self, states: dict[str, str], wanted: str) -> int:
        return sum(states[id] != wanted for id in self.work)

    def _check(self, held: bool, problem: str) -> None:
        if not held:
            self.report.problems.append(problem)

    def starts(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = defaultdict(list)
        found.update({id: [line.at for line in lines] for id, lines in self.history.of("start").items()})
        return found

    def _done(self) -> int:
        return len(self.history.of("done"))

    def _until(self, true: Callable[[], bool], timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not true() and time.monotonic() < deadline:
            time.sleep(0.02)


def _wait_dead(pid: int) -> None:
    while alive(pid):
        time.sleep(0.0005)


def main() -> None:
    """`python -m tests.e2e.kill_run FOLDER PLAN`: prints the report."""
    # The one who asked for it is out of patience: end like after an error, and take the node along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    run = KillRun(msgspec.json.decode(sys.argv[2], type=Plan), Path(sys.argv[1]))
    report = run.run()
    print(json.dumps({"problems": report.problems, **report.figures}))


if __name__ == "__main__":
    main()
