"""`leveret explain ID`."""

from typing import Any

import click
import msgspec

from leveret.cli.invocation import invocation_options
from leveret.cli.tables import print_json
from leveret.cli.verbs.target import target_app
from leveret.client.groups import GroupResult, result_from_tuple
from leveret.client.results.saving import read_saved
from leveret.client.results.standing import Standing, standing
from leveret.logic.insight.codes import NOTHING, UNREACHABLE


@click.command("explain")
@click.argument("ids", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(ids: tuple[str, ...], as_json: bool) -> int:
    """Say why the tasks IDS are not running, or what happened to them; exit code 1 where nothing is known of one."""
    app = target_app()
    found = [_explained(app, name) for name in ids]
    if as_json:
        print_json([_plain(one) for one in found])
    else:
        for one in found:
            _show(one)
    return 1 if any(one.why is not None and one.why.code in (NOTHING, UNREACHABLE) for one in found) else 0


def _explained(app: Any, id: str) -> Standing:
    known = app.client.parts.backend is not None
    written = read_saved(app.client, id) if known else None
    if written is None:
        explained: Standing = app.AsyncResult(id).explain()
        return explained
    found = result_from_tuple(written, app)
    return standing(found, {}) if isinstance(found, GroupResult) else found.explain()


def _show(one: Standing) -> None:
    why = one.why
    if why is None:
        click.echo(str(one))
        return
    click.echo(f"{one.label}: {why.text}")
    for further in why.also:
        click.echo(f"  {further}")
    if not one.alone:
        click.echo(str(one))


def _plain(one: Standing) -> dict[str, Any]:
    told = {"id": one.id, "task": one.name or None, "state": one.state}
    if one.why is None:
        return {**told, "size": one.size, "done": one.done}
    return {**told, **msgspec.structs.asdict(one.why)}
