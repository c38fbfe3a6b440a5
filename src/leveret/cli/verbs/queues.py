"""`leveret queues`: what waits, runs and was parked, by queue."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.tables import age, print_json, print_table
from leveret.cli.verbs.target import on_drivers, target_settings
from leveret.model.delivery import QueueCounts
from leveret.wiring.drivers import Drivers


@click.command("queues")
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(names: tuple[str, ...], as_json: bool) -> None:
    """Show what stands in the queues NAMES, or in all."""

    async def look(drivers: Drivers) -> tuple[QueueCounts, ...]:
        return await drivers.broker.admin().counts(names)

    counts = on_drivers(target_settings(), look)
    if as_json:
        print_json([{field: getattr(count, field) for field in count.__struct_fields__} for count in counts])
    elif counts:
        print_table(
            ("queue", "ready", "delayed", "claimed", "dead", "oldest"),
            [(c.queue, c.ready, c.delayed, c.claimed, c.dead, age(c.oldest)) for c in counts],
        )
    else:
        click.echo("no queues")
