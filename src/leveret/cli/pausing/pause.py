"""`leveret pause`: no node takes anything of these queues, or begins tasks of these types."""

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.node.queues import split_names
from leveret.cli.pausing.shown import name_options, show
from leveret.cli.verbs.target import target_app


@click.command("pause")
@name_options
@click.option("--by", default="", metavar="TEXT", help="Who asks, and why; else user and host.")
@invocation_options
def command(names: tuple[str, ...], queues: tuple[str, ...], tasks: tuple[str, ...], by: str, as_json: bool) -> None:
    """Have no node claim from QUEUEs or begin tasks of a type, until `leveret resume`.

    Without any name: show what is paused. It holds for the whole cluster, for nodes that start later too. What runs
    already runs on.
    """
    control = target_app().control
    wanted = split_names((*names, *queues))
    if wanted or tasks:
        control.pause(queue=wanted, task=tasks, by=by)
    show(control.paused(), as_json=as_json)
