"""`leveret result ID`."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.verbs.results import show
from leveret.cli.verbs.target import target_app


@click.command("result")
@click.argument("id")
@click.option("-w", "--wait", is_flag=True, help="Wait until it is there.")
@click.option("-t", "--timeout", type=float, metavar="SECONDS", help="Wait no longer than this.")
@click.option("--traceback", is_flag=True, help="Show the traceback too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(id: str, wait: bool, timeout: float | None, traceback: bool, as_json: bool) -> int:
    """Show the state and result of the task ID; exit code 1 when it failed."""
    result = target_app().AsyncResult(id)
    return show(result, timeout=timeout, wait=wait, as_json=as_json, traceback=traceback)
