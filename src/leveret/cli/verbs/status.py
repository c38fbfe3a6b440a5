"""`leveret status`: who is alive, on which broker."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.pausing.shown import facts
from leveret.cli.tables import age, print_json, print_table
from leveret.cli.verbs.target import on_drivers, target_settings
from leveret.model.delivery import QueueCounts
from leveret.model.node import Node
from leveret.ports.limiting.pauses import Pause
from leveret.wiring.drivers import Drivers


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(as_json: bool) -> int:
    """Show the nodes that are alive and what waits; exit code 1 when there is no node."""
    address, nodes, counts, paused = on_drivers(target_settings(), _look)
    if as_json:
        shown = {"nodes": [_node(node) for node in nodes], "queues": [_queue(c) for c in counts]}
        print_json({"broker": address, **shown, "paused": [facts(one) for one in paused]})
        return 0 if nodes else 1
    click.echo(f"broker: {address}")
    _show(nodes, counts)
    for one in paused:
        click.echo(f"{one.kind} {one.name} is paused for {age(one.since)} by {one.by}: leveret resume")
    return 0 if nodes else 1


async def _look(drivers: Drivers) -> tuple[str, tuple[Node, ...], tuple[QueueCounts, ...], tuple[Pause, ...]]:
    nodes = await drivers.broker.leases().nodes()
    return drivers.broker.address, nodes, await drivers.broker.admin().counts(), await drivers.paused()


def _show(nodes: tuple[Node, ...], counts: tuple[QueueCounts, ...]) -> None:
    if nodes:
        print_table(
            ("node", "pool", "slots", "queues", "tasks", "pid", "up"),
            [(n.name, n.pool, n.slots, ", ".join(n.queues), len(n.tasks), n.pid, age(n.started)) for n in nodes],
        )
    else:
        click.echo("no node is alive")
    served = {queue for node in nodes for queue in node.queues}
    for count in counts:
        if count.ready and count.queue not in served:
            click.echo(f"queue {count.queue}: {count.ready} waiting, no node consumes it")
    dead = sum(count.dead for count in counts)
    if dead:
        click.echo(f"{dead} dead letters: leveret dead list")


def _node(node: Node) -> dict[str, object]:
    return {
        "name": node.name,
        "pool": node.pool,
        "slots": node.slots,
        "queues": node.queues,
        "tasks": node.tasks,
        "pid": node.pid,
        "started": node.started,
    }


def _queue(count: QueueCounts) -> dict[str, object]:
    return {field: getattr(count, field) for field in count.__struct_fields__}
