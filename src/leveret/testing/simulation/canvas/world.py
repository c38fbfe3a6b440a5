"""One random workflow, run by real workers on the reference driver with faults at every call, and the judgement."""

import asyncio
import random
from collections import Counter, defaultdict
from typing import Any

from leveret.brokers.memory import MemoryDriver
from leveret.errors import BrokerError
from leveret.logic.canvas.plan import freeze, results, start
from leveret.logic.canvas.signatures import body_of, kind, parts
from leveret.logic.following import Following
from leveret.logic.recording import Rules
from leveret.model.delivery import Posting
from leveret.model.endpoint import Url
from leveret.model.message import Addition, Message, TaskId
from leveret.model.settlement import Joined, Record
from leveret.model.signature import SignatureSpec
from leveret.model.state import REVOKED, SUCCESS
from leveret.ports.executor import Job
from leveret.testing.clock import SimClock
from leveret.testing.faults import Fault, Faults, Plan, Wire
from leveret.testing.simulation.canvas.model import Ended, Model
from leveret.testing.simulation.canvas.tasks import WorkflowTasks
from leveret.testing.simulation.canvas.trees import Forester, Node, leaves, to_spec
from leveret.testing.simulation.executor import Killed
from leveret.testing.simulation.history import History
from leveret.testing.simulation.variant import Variant
from leveret.testing.simulation.world import CODEC, OPTIONS, Result, World, play

SHIPPED = Variant(seats=False)
CLIENT = Message(id=TaskId("client"), task="client")
"""Stands for whoever sends the workflow."""


FAULTS = 8
FAULTS_UNTIL = 4.0
"""Seconds in which they begin: as long as most workflows take."""
VERBS = (*("store", "arrive", "publish", "settle", "commit") * 3, "claim", "give_back", "reap", "get", None)
"""The steps of a settlement more often than all others."""
FATAL = (Fault.CRASH, Fault.CRASH, Fault.CRASH, Fault.NODE_CRASH, Fault.DROP_REPLY, Fault.DUPLICATE)


def plan_faults(dice: random.Random) -> list[Plan]:
    return [
        Plan(
            at=dice.uniform(0.0, FAULTS_UNTIL),
            fault=dice.choice((*FATAL, *Fault)),
            verb=dice.choice(VERBS),
            seconds=dice.uniform(0.05, 6.0),
            late=dice.random() < 0.5,
        )
        for _ in range(FAULTS)
    ]


class WorkflowHistory(History):
    """Joins are judged by what their bodies came to."""

    def __init__(self, clock: SimClock) -> None:
        super().__init__(clock)
        self.ids: dict[int, set[str]] = defaultdict(set)
        """Number of a task or error callback -> the ids it ran under."""
        self.started_numbers: Counter[int] = Counter()

    def joined(self, joined: Joined) -> None:
        self.note("joined", joined.join, joined.complete)

    def started(self, job: Job, place: str) -> None:
        super().started(job, place)
        number = job.message.kwargs.get("n")
        if number is not None:
            self.ids[number].add(job.message.id)


class Sender:
    """Whoever sends the workflow: again, under the same ids, until it is answered. What is to be revoked is revoked
    before."""

    def __init__(self, world: "WorkflowWorld") -> None:
        self.world = world
        self.outbox: list[Any] = []
        self.done = False
        driver = MemoryDriver(world.url, world.options, world.clock, world.server)
        wire = Wire("sender")
        wire.on_crash = self._reborn
        self._broker = world.faults.proxy(driver.broker(), wire)
        self._backend = world.faults.proxy(driver.backend(), wire)
        world.spawn(self._send(wire))

    def _reborn(self) -> None:
        # One that dies is started again by somebody, and sends all of it again.
        self.__init__(self.world)  # type: ignore[misc] # it is the same sender to whoever counts them

    async def _send(self, wire: Wire) -> None:
        world = self.world
        await _until_answered(lambda: self._backend.store(world.revocations), world)
        await _until_answered(lambda: self._broker.publish(world.postings), world)
        self.done = True


async def _until_answered(call: Any, world: "WorkflowWorld") -> None:
    while True:
        try:
            await call()
        except BrokerError:
            await asyncio.sleep(0.1)
        else:
            return


class WorkflowWorld(World):
    """Everything of one run."""

    def __init__(self, seed: int, variant: Variant = SHIPPED) -> None:
        self.dice = random.Random(seed)
        self.variant = variant
        self.clock = SimClock(dice=random.Random(seed + 1))
        self.start = self.clock.now()
        self.url, self.options = Url("memory://simulation"), OPTIONS
        self.history: WorkflowHistory = WorkflowHistory(self.clock)
        self.pids: set[int] = set()
        self.server = variant.server(self.options, self.clock, self.pids.__contains__, self.history)
        self.tree = Forester(self.dice).draw()
        self.leaves = leaves(self.tree)
        self.codec = CODEC
        self.tasks: Any = WorkflowTasks(self.leaves, self._add)
        self.rules = Rules(codec=CODEC, following=Following(registry=self.tasks, default_queue="fast"))
        self.moments: list[float] = []
        self.slots = self.dice.choice((1, 1, 3))
        self.fused = self.dice.random() < 0.5 if variant.fused is None else variant.fused
        self.faults = Faults(self.clock, random.Random(seed + 2), [] if variant.calm else plan_faults(self.dice))
        self.faults.trace = self.history.note
        self._serial = 0
        self._adding: set[str] = set()
        self._spawned = []
        self._compose(f"workflow {seed}")

    def _compose(self, name: str) -> None:
        self.frozen = freeze(to_spec(self.tree), name)
        calls = start(self.frozen)
        messages = [self.rules.following.message(call, CLIENT, TaskId(""), (), self.start) for call in calls]
        self.postings: tuple[Posting, ...] = tuple(map(CODEC.post, messages))
        wanted = {leaf.n for leaf in self.leaves if leaf.kind == "revoked"}
        self.revoked = {call.kwargs["n"]: str(call.options["task_id"]) for call in _calls(self.frozen)
                        if call.kwargs.get("n") in wanted}  # fmt: skip
        self.revocations = tuple(
            Record(id=TaskId(name), attempt=0, state=REVOKED, terminal=True) for name in self.revoked.values()
        )

    def _add(self, spec: SignatureSpec, parent: Message, addition: Addition) -> bool:
        """As `add_to_chord` does it; some die between the two steps."""
        calls = start(freeze(spec, addition.member))
        following = self.rules.following
        messages = [following.message(call, parent, TaskId(""), (), self.clock.now()) for call in calls]
        self.server.publish(tuple(map(CODEC.post, messages)))
        if addition.member not in self._adding and self.dice.random() < 0.3 and not self.variant.calm:
            self._adding.add(addition.member)
            raise Killed
        return self.server.grow((addition,))[0]

    def _producers(self) -> list[Any]:
        return [Sender(self)] if self.postings else []

    def _judge(self) -> None:
        violated = self.history.violations.append
        for task in self._spawned:
            if task.done() and not task.cancelled() and task.exception() is not None:
                violated(f"actor broke: {task.exception()!r}")
        for name in self.server.messages.waiting():
            violated(f"liveness: {name}: still waits or is held")
        if not self.history.convicted:
            # Three deaths near one task make it fail, and what follows is another workflow.
            self._compare()

    def _compare(self) -> None:
        model = Model()
        end = model.run(self.tree)
        expected, history, violated = model.expected, self.history, self.history.violations.append
        numbers = {leaf.n for leaf in self.leaves}
        for leaf in self.leaves:
            ids, state = history.ids.get(leaf.n, set()), expected.states.get(leaf.n)
            runs = state is not None and leaf.n not in expected.unrun
            if bool(ids) != runs or len(ids) > 1:
                violated(f"wrong runs: task {leaf.n} ({leaf.kind}) ran as {sorted(ids)}, expected {state}")
            for name in ids if state in ("SUCCESS", "FAILURE") else ():
                record = history.terminal.get(name)
                if record is None or record.state != state:
                    violated(f"wrong outcome: task {leaf.n} is {record and record.state}, expected {state}")
        for number in set(history.ids) - numbers | set(expected.errbacks):
            ended = [name for name in history.ids.get(number, ()) if name in history.terminal]
            if len(ended) != expected.errbacks[number]:
                violated(f"wrong errbacks: {number} ended {len(ended)} times, expected {expected.errbacks[number]}")
        self._compare_result(end)

    def _compare_result(self, end: Ended) -> None:
        ends = list(results(self.frozen))
        records = [self.history.terminal.get(str(call.options["task_id"])) for call in ends]
        if end.state == SUCCESS:
            values = _flat([None if record is None else self._value(record) for record in records])
            wanted = _flat([end.value])
            # Of a task whose result is ignored only the end is kept.
            quiet = any(leaf.kind == "quiet" for leaf in self.leaves)
            same = [one == other or (quiet and one is None) for one, other in zip(values, wanted, strict=False)]
            if None in records or len(values) != len(wanted) or not all(same):
                self.history.violations.append(f"wrong result: {values}, expected {wanted}")
        elif len(ends) == 1 and ends[0].kwargs.get("n") not in self.revoked:
            state = None if records[0] is None else records[0].state
            if state != end.state and not self._ignored_at_the_end():
                self.history.violations.append(f"wrong result: {state}, expected {end.state}")

    def _ignored_at_the_end(self) -> bool:
        """A task that raises Ignore leaves nothing, also where it is the whole workflow's last."""
        return any(leaf.kind == "ignore" for leaf in self.leaves)

    def _value(self, record: Record) -> Any:
        return self.rules.value(record) if record.state == SUCCESS else record.state


def _calls(spec: SignatureSpec) -> list[SignatureSpec]:
    """All calls of a frozen workflow."""
    match kind(spec):
        case None:
            return [spec]
        case "chord":
            return [call for part in (*parts(spec), body_of(spec)) for call in _calls(part)]
    return [call for part in parts(spec) for call in _calls(part)]


def _flat(value: Any) -> list[Any]:
    return [one for part in value for one in _flat(part)] if isinstance(value, list | tuple) else [value]


def simulate_workflow(seed: int, variant: Variant = SHIPPED, *, keep_events: bool = False) -> Result:
    """Run one seed."""
    return play(WorkflowWorld, seed, variant, keep_events=keep_events)


def tree_of(seed: int) -> Node:
    """The workflow of a seed, to look at."""
    return Forester(random.Random(seed)).draw()
