"""`python -m bench backlog`: a million waiting messages, 100,000 delayed ones, 200,000 results that expire."""

import asyncio
import time
from dataclasses import asdict
from pathlib import Path

from bench import rounds, trial
from bench.drills.verdicts import Figure, show
from bench.systems import LEVERET, System, prepare
from leveret.brokers.sql.driver import SqlDriver
from leveret.cli.benching import measure, proc
from leveret.model.delivery import Claim, Delivery, Encoded, Posting, SessionId, Verdict
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Record
from leveret.wiring.clock import SystemClock

BATCH = 10
CLAIMS = 2000
SESSION = SessionId("bench-session")
NODE = Node(name="bench", incarnation="1", boot="bench", pid=1)


def run() -> None:
    prepare((LEVERET,))
    small, large = (asyncio.run(_claim_times(count)) for count in (1_000, 1_000_000))
    growth = _memory_while_draining(300_000)
    parked, resting = _countdown(100_000)
    expiring = asyncio.run(_expiring_results(200_000))
    figures = [
        Figure("claim p99: 1,000,000 waiting against 1,000", large.p99_ms / small.p99_ms, 2, "x"),
        Figure("growth of the node while it drains 300,000 (PSS)", growth, 5, "MB"),
        Figure("growth of the node by 100,000 countdown tasks (PSS)", parked, 5, "MB"),
        Figure("its idle CPU then", resting, 1, "%"),
        Figure("200,000 results of 60 s: largest file and WAL", expiring["file_mb"], 50, "MB"),
        Figure("pruning adds to the slowest claim", expiring["added_ms"], 10, "ms"),
    ]
    claims = {"1,000": asdict(small), "1,000,000": asdict(large)}
    rounds.write("backlog", {"figures": show(figures), "claims": claims, "expiring": expiring})


class SimulatedClock(SystemClock):
    """Wall time moves when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def now(self) -> float:
        return time.time() + self.ahead


class Desk:
    """A session at the port: claims, acknowledges, and puts as much back, so that the backlog keeps its size."""

    def __init__(self, folder: Path, clock: SystemClock) -> None:
        self._clock = clock
        self.file = folder / "queue.db"
        self._driver = SqlDriver(Url(f"sqlite:///{self.file}"), DriverOptions(), clock)
        self.broker, self.chores = self._driver.broker(), self._driver.chores()
        self._commit = self._driver.commit()
        self._number = 0

    async def open(self, waiting: int) -> None:
        await self._driver.admin().declare(("bench",))
        session = Session(id=SESSION, node=NODE.name, incarnation=NODE.incarnation, pid=NODE.pid)
        await self._driver.leases().register(NODE, (session,))
        for size in measure.chunks(waiting):
            await self.publish(size)

    async def publish(self, count: int) -> None:
        await self.broker.publish(tuple(self._posting() for _ in range(count)))

    async def claim(self, credit: int = BATCH) -> tuple[tuple[Delivery, ...], float]:
        self._number += 1
        started = time.perf_counter()
        got = await self.broker.claim(Claim(session=SESSION, queues=("bench",), credit=credit, number=self._number))
        return got, time.perf_counter() - started

    async def finish(self, deliveries: tuple[Delivery, ...], expires_after: float | None = None) -> None:
        make = self._with_result if expires_after else self._without
        await self._commit.commit(tuple(make(one, expires_after or 0.0) for one in deliveries))

    async def close(self) -> None:
        await self._driver.leases().leave(NODE)
        await self.broker.close()

    def _posting(self) -> Posting:
        name = self._clock.new_id()
        encoded = Encoded({"id": name, "task": "bench.work", "lang": "py"}, b"[[1,2],{},null]")
        return Posting(id=name, queue="bench", encoded=encoded)

    def _without(self, delivery: Delivery, _: float) -> Commitment:
        return Commitment(receipt=delivery.receipt, verdict=Verdict.ACK)

    def _with_result(self, delivery: Delivery, expires_after: float) -> Commitment:
        meta = b'{"status":"SUCCESS","result":3,"traceback":null,"children":[],"date_done":"2026-01-01T00:00:00"}'
        name = str(delivery.encoded.headers["id"])
        record = Record(
            id=TaskId(name), attempt=0, state="SUCCESS", meta=meta, terminal=True, expires_after=expires_after
        )
        return Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, record=record)


async def _claim_times(waiting: int) -> measure.Latency:
    with trial.bed(LEVERET) as it:
        desk = Desk(it.folder, SystemClock())
        await desk.open(waiting)
        taken = []
        for _ in range(CLAIMS):
            deliveries, seconds = await desk.claim()
            taken.append(seconds)
            await desk.finish(deliveries)
            await desk.publish(len(deliveries))
        await desk.close()
    print(f"  {waiting:>9,} waiting: {rounds.latency(asdict(measure.percentiles(taken)))}", flush=True)
    return measure.percentiles(taken)


def _memory_while_draining(count: int) -> float:
    """PSS after nine tenths of the backlog less PSS after one tenth."""
    system = System(name="leveret", peer="leveret", install=(), tasks=count)
    with trial.bed(system, results="0") as it:
        it.run("send", str(count), "bulk")
        with it.node() as node:
            sizes = []
            for share in (0.1, 0.9):
                node.wait_for(it.counter, int(count * share), 300)
                sizes.append(proc.memory(node.pid).pss_mb)
    return sizes[1] - sizes[0]


def _countdown(count: int) -> tuple[float, float]:
    """Growth in MB of an idle node while `count` tasks are sent an hour ahead; its CPU in % afterwards."""
    with trial.bed(LEVERET, results="0") as it:
        it.run("send", "1", "one")
        with it.node() as node:
            node.wait_for(it.counter, 1, 30)
            time.sleep(2)
            before = proc.memory(node.pid).pss_mb
            it.environment["BENCH_COUNTDOWN"] = "3600"
            it.run("send", str(count), "bulk")
            time.sleep(3)
            cpu = proc.cpu_seconds(node.pid)
            time.sleep(measure.IDLE_SECONDS)
            resting = (proc.cpu_seconds(node.pid) - cpu) / measure.IDLE_SECONDS * 100
            return proc.memory(node.pid).pss_mb - before, resting


async def _expiring_results(count: int) -> dict[str, float]:
    """A minute passes (simulated) every 20,000 results. Upkeep runs beside every other claim, so that a noisy
    neighbour strikes both kinds of claim alike."""
    with trial.bed(LEVERET) as it:
        clock = SimulatedClock()
        desk = Desk(it.folder, clock)
        await desk.open(0)
        largest = 0.0
        alone: list[float] = []
        beside: list[float] = []
        for number in range(count // 100):
            if number % 200 == 0:
                clock.ahead += 61
                largest = max(largest, _size(desk.file))
            if number % 2:
                alone.append(await _pass_through(desk))
            else:
                upkeep = asyncio.ensure_future(desk.chores.upkeep())
                beside.append(await _pass_through(desk))
                await upkeep
        await desk.close()
    calm, slowest = max(alone) * 1000, max(beside) * 1000
    return {"file_mb": largest, "calm_ms": calm, "slowest_ms": slowest, "added_ms": slowest - calm}


async def _pass_through(desk: Desk) -> float:
    """100 messages are sent, claimed and finished with results; the seconds the claim took."""
    await desk.publish(100)
    deliveries, seconds = await desk.claim(100)
    await desk.finish(deliveries, expires_after=60.0)
    return seconds


def _size(file: Path) -> float:
    parts = (file, file.with_name(file.name + "-wal"))
    return sum(part.stat().st_size for part in parts if part.exists()) / 1e6
