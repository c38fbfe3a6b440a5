"""`leveret bench`: how fast this machine, this broker and this store are."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from leveret.cli.benching import measure
from leveret.cli.benching.counter import VARIABLE, Counter
from leveret.cli.benching.measure import Footprint, Latency, Rate, Rig
from leveret.cli.benching.node import Node, worker_command
from leveret.cli.benching.tasks import app, work, work_with_result

APP = "leveret.cli.benching.tasks"
QUEUE = "leveret-bench"
"""A queue of its own: a bench never runs, or mixes with, what waits on the broker it measures."""
ROUND_TRIPS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    broker: str
    backend: str | None
    tasks: int
    processes: int
    payload: int
    results: bool

    @property
    def environment(self) -> dict[str, str]:
        stores = {"LEVERET_RESULT_BACKEND": self.backend} if self.backend else {}
        return {"LEVERET_BROKER_URL": self.broker, "LEVERET_TASK_DEFAULT_QUEUE": QUEUE, **stores}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    one_by_one: Rate
    bulk: Rate
    drain: Rate
    both: Rate
    round_trip: Latency
    node: Footprint


@click.command("bench")
@click.option("-b", "--broker", help="Broker URL; default: a fresh SQLite file in the temporary folder.")
@click.option("--backend", help="Result store URL; default: the broker's own.")
@click.option("--tasks", default=20_000, show_default=True, type=click.IntRange(min=1000))
@click.option("--processes", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--payload", default=64, show_default=True, type=click.IntRange(min=0), help="Bytes of argument a task.")
@click.option("--results/--no-results", default=False, show_default=True, help="Store a result for every task.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def command(**options: Any) -> None:
    """Measure enqueueing, draining, both at once, the round trip, and what a node costs."""
    as_json = options.pop("as_json")
    with tempfile.TemporaryDirectory(prefix="leveret-bench-") as folder:
        options["broker"] = options["broker"] or f"sqlite:///{folder}/queue.db"
        plan = Plan(**options)
        report = run(plan, Path(folder))
    click.echo(json.dumps({"plan": asdict(plan), **asdict(report)})) if as_json else show(plan, report)


def run(plan: Plan, folder: Path) -> Report:
    app.conf.update(broker_url=plan.broker, result_backend=plan.backend, task_default_queue=QUEUE)
    counter = Counter(folder / "counter")
    rig = make_rig(plan, folder, counter)
    one_by_one = max(200, plan.tasks // 10)
    rate_of_one = measure.enqueue_one_by_one(rig, one_by_one)
    rate_of_bulk = measure.enqueue_in_bulk(rig, plan.tasks)
    return Report(
        one_by_one=rate_of_one,
        bulk=rate_of_bulk,
        drain=measure.drain(rig, one_by_one + plan.tasks),
        both=measure.both_at_once(rig, plan.tasks),
        round_trip=measure.round_trips(rig, lambda: work_with_result.delay("").get(timeout=30), ROUND_TRIPS),
        node=measure.footprint(rig),
    )


def make_rig(plan: Plan, folder: Path, counter: Counter) -> Rig:
    task = work_with_result if plan.results else work
    payload = "x" * plan.payload
    environment = {**plan.environment, VARIABLE: str(counter.path)}
    command_line = worker_command(APP, "-c", str(plan.processes), "-Q", QUEUE)
    return Rig(
        send_one=lambda: task.delay(payload),
        send_many=lambda count: app.send_many([task.s(payload) for _ in range(count)]),
        node=lambda: Node(command_line, environment, folder / "worker.log"),
        counter=counter,
    )


def show(plan: Plan, report: Report) -> None:
    console = Console()
    table = Table(title=f"{plan.tasks:,} tasks, {plan.processes} processes on {os.cpu_count()} CPUs")
    for heading in ("", "tasks/s", "CPU us a task"):
        table.add_column(heading, justify="left" if not heading else "right")
    rates = {
        "send, one by one": report.one_by_one,
        "send, in bulk": report.bulk,
        "drain a backlog": report.drain,
        "send and drain": report.both,
    }
    for name, rate in rates.items():
        table.add_row(name, f"{rate.per_second:,.0f}", f"{rate.cpu_ms_per_1k:,.1f}")
    console.print(table)
    trip, node = report.round_trip, report.node
    console.print(f"round trip    p50 {trip.p50_ms:.2f} ms, p95 {trip.p95_ms:.2f} ms, p99 {trip.p99_ms:.2f} ms")
    console.print(
        f"idle node     {node.processes} processes, {node.pss_mb:.0f} MB (PSS), {node.idle_cpu_percent:.1f} % CPU"
    )
    console.print(
        f"start, stop   first task after {node.first_task_seconds:.2f} s, warm stop in {node.stop_seconds:.2f} s"
    )
