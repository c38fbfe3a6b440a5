"""`leveret control`: steer nodes. Celery's workers obey too."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.remote.asking import ask, options
from leveret.logic.remote.commands import CONTROL


@click.command("control")
@options(CONTROL)
@invocation_options
def command(
    name: str, arguments: tuple[str, ...], timeout: float | None, destination: str | None, as_json: bool
) -> int:
    """Steer nodes: revoke, pool_grow, add_consumer, shutdown ... (--list); exit code 69 when nobody answers."""
    return ask(CONTROL, name, arguments, timeout=timeout, destination=destination, as_json=as_json)
