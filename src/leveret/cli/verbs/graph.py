"""`leveret graph ID`."""

from typing import Any

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.verbs.target import target_app
from leveret.client.groups import GroupResult, result_from_tuple
from leveret.client.results.saving import read_saved
from leveret.client.results.standing import mermaid, standing


@click.command("graph")
@click.argument("id")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a Mermaid flowchart.")
@invocation_options
def command(id: str, as_mermaid: bool) -> None:
    """Show the workflow that ends in ID: each task with its state, and what the first open ones wait for.

    All of it where it was saved (`result.save()`), else what the store knows: who sent it, and what followed.
    """
    found = _found(target_app(), id)
    shown = standing(found, {}) if isinstance(found, GroupResult) else found.explain()
    click.echo(mermaid(shown) if as_mermaid else str(shown))


def _found(app: Any, id: str) -> Any:
    written = read_saved(app.client, id)
    if written is not None:
        return result_from_tuple(written, app)
    top = app.AsyncResult(id)
    # Up to the first of those that sent one another: what it knows of what followed shows the way down again.
    for _ in range(1000):
        above = top.parent
        if above is None or above.id == top.id:
            break
        top = above
    return top
