"""`leveret config`: each setting and where it came from."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.tables import print_json, print_table
from leveret.cli.verbs.target import target_app
from leveret.config.configuration import DEFAULT


@click.command("config")
@click.option("--changed", is_flag=True, help="Only what is not the default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(changed: bool, as_json: bool) -> None:
    """Show each setting and where it came from: command line, environment, code, object or file, default."""
    conf = target_app().conf
    rows = [row for row in conf.origins() if not changed or row[2] != DEFAULT]
    if as_json:
        print_json([{"name": name, "value": value, "origin": origin} for name, value, origin in rows])
        return
    print_table(("setting", "value", "from"), [(name, repr(value), origin) for name, value, origin in rows])
    for line in conf.remarks():
        click.echo(line)
