"""`leveret purge`: forget what waits."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.node.queues import split_names
from leveret.cli.tables import print_json
from leveret.cli.verbs.target import on_drivers, target_app, target_queues
from leveret.wiring.drivers import Drivers


@click.command("purge")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("-Q", "--queues", multiple=True, metavar="A,B", help="Only these queues.")
@click.option("-X", "--exclude-queues", multiple=True, metavar="A,B", help="All but these.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(force: bool, queues: tuple[str, ...], exclude_queues: tuple[str, ...], as_json: bool) -> None:
    """Forget what waits in the app's queues, ready or delayed. What runs goes on; dead letters stay."""
    app = target_app()
    excluded = split_names(exclude_queues)
    names = tuple(name for name in split_names(queues) or target_queues(app) if name not in excluded)

    async def address_and_size(drivers: Drivers) -> tuple[str, int]:
        counts = await drivers.broker.admin().counts(names)
        return drivers.broker.address, sum(count.ready + (count.delayed or 0) for count in counts)

    async def purge(drivers: Drivers) -> int:
        return await drivers.broker.admin().purge(names)

    if not force:
        address, size = on_drivers(app.conf.settings, address_and_size)
        click.confirm(f"Forget {size} messages in {', '.join(names)} of {address}?", abort=True)
    gone = on_drivers(app.conf.settings, purge)
    if as_json:
        print_json({"purged": gone, "queues": names})
    else:
        click.echo(f"forgotten: {gone} in {', '.join(names)}")
