"""`leveret queues`: what waits, runs and was parked, by queue, how fast it moves, and what is paused."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import click

from leveret.app import Leveret
from leveret.cli.invocation import invocation_options
from leveret.cli.pausing.shown import names_of
from leveret.cli.tables import age, print_json, print_table
from leveret.cli.verbs.target import on_drivers, target_app
from leveret.errors import BrokerError, ImproperlyConfigured
from leveret.model.delivery import QueueCounts
from leveret.model.node import Node
from leveret.wiring.drivers import Drivers

ANSWER_SECONDS = 1.0
"""How long nodes are waited for that do not say what they have taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """Messages a second."""

    arriving: float
    taken: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    counts: tuple[QueueCounts, ...]
    nodes: tuple[Node, ...]
    paused: tuple[str, ...]


@click.command("queues")
@click.argument("names", nargs=-1)
@click.option("--interval", type=click.FloatRange(0), default=1.0, metavar="SECONDS",
              help="Measure the rates for so long, where a node is alive; 0: do not.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(names: tuple[str, ...], interval: float, as_json: bool) -> None:
    """Show what stands in the queues NAMES, or in all.

    `in/s` and `out/s` are messages that came and that nodes took during --interval; what goes back and is taken again
    counts in both.
    """
    app = target_app()
    found, moving = on_drivers(app.conf.settings, lambda drivers: _watched(app, drivers, names, interval))
    rows = [_row(count, found, moving.get(count.queue)) for count in found.counts]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ("queue", "ready", "delayed", "claimed", "dead", "oldest", "in/s", "out/s", "consumers", "")
        print_table(columns, [_cells(row) for row in rows])
    else:
        click.echo("no queues")


async def _watched(
    app: Leveret, drivers: Drivers, names: tuple[str, ...], interval: float
) -> tuple[Look, dict[str, Moving]]:
    before = await _look(drivers, names)
    if not interval or not before.nodes:
        return before, {}
    loop = asyncio.get_running_loop()
    began, taken = loop.time(), await _taken(app, len(before.nodes))
    if taken is None:
        return before, {}
    await asyncio.sleep(interval)
    after, again = await _look(drivers, names), await _taken(app, len(before.nodes))
    if again is None:
        return after, {}
    seconds, waited = loop.time() - began, {count.queue: _waiting(count) for count in before.counts}
    moving = {}
    for count in after.counts:
        out = max(0, again[count.queue] - taken[count.queue])
        grown = _waiting(count) - waited.get(count.queue, 0)
        moving[count.queue] = Moving(arriving=max(0, grown + out) / seconds, taken=out / seconds)
    return after, moving


async def _look(drivers: Drivers, names: tuple[str, ...]) -> Look:
    return Look(
        counts=await drivers.broker.admin().counts(names),
        nodes=await drivers.broker.leases().nodes(),
        paused=names_of("queue", await drivers.paused()),
    )


async def _taken(app: Leveret, nodes: int) -> Counter[str] | None:
    """How many messages all nodes have taken so far, by queue; None where they cannot be asked."""
    try:
        replies = await app.control.abroadcast(
            "stats", {"by_queue": True}, reply=True, timeout=ANSWER_SECONDS, limit=nodes
        )
    except (ImproperlyConfigured, BrokerError):
        return None
    total: Counter[str] = Counter()
    for reply in replies or ():
        for told in reply.values():
            # A Celery worker on the same broker says nothing of queues.
            total.update(told.get("queues", {}) if isinstance(told, dict) else {})
    return total


def _waiting(count: QueueCounts) -> int:
    return count.ready + (count.delayed or 0)


def _row(count: QueueCounts, found: Look, moving: Moving | None) -> dict[str, object]:
    serving = [node.name for node in found.nodes if count.queue in node.queues]
    facts = {field: getattr(count, field) for field in count.__struct_fields__}
    return {
        **facts,
        "consumers": len(serving) if count.consumers is None else count.consumers,
        "nodes": serving,
        "in_per_second": None if moving is None else round(moving.arriving, 1),
        "out_per_second": None if moving is None else round(moving.taken, 1),
        "paused": count.queue in found.paused,
    }


def _cells(row: dict[str, object]) -> tuple[object, ...]:
    names = ("queue", "ready", "delayed", "claimed", "dead", "oldest", "in_per_second", "out_per_second", "consumers")
    cells = [row[name] for name in names]
    oldest = row["oldest"]
    cells[5] = age(oldest if isinstance(oldest, float) else None)
    return (*cells, "paused" if row["paused"] else "")
