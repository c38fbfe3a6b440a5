"""`leveret inspect`: ask nodes what they are doing. Celery's workers answer too."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.remote.asking import ask, options
from leveret.logic.remote.commands import INSPECT


@click.command("inspect")
@options(INSPECT)
@invocation_options
def command(
    name: str, arguments: tuple[str, ...], timeout: float | None, destination: str | None, as_json: bool
) -> int:
    """Ask nodes: ping, active, stats, stack ... (--list); exit code 69 when nobody answers."""
    return ask(INSPECT, name, arguments, timeout=timeout, destination=destination, as_json=as_json)
