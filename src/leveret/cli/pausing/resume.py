"""`leveret resume`: what was paused goes on."""

from difflib import get_close_matches

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.node.queues import split_names
from leveret.cli.pausing.shown import name_options, names_of
from leveret.cli.tables import print_json
from leveret.cli.verbs.target import target_app
from leveret.ports.limiting.pauses import Pause


@click.command("resume")
@name_options
@click.option("--all", "everything", is_flag=True, help="All that is paused.")
@invocation_options
def command(
    names: tuple[str, ...], queues: tuple[str, ...], tasks: tuple[str, ...], everything: bool, as_json: bool
) -> int:
    """Let paused QUEUEs and task types go on; exit code 1 when one of them was not paused."""
    control = target_app().control
    paused: tuple[Pause, ...] = control.paused()
    wanted = split_names((*names, *queues))
    if everything:
        wanted, tasks = names_of("queue", paused), names_of("task", paused)
    elif not wanted and not tasks:
        raise click.UsageError("say what: QUEUE, --queue, --task or --all")
    done = control.resume(queue=wanted, task=tasks) if wanted or tasks else ()
    if as_json:
        print_json({"resumed": done})
    elif done:
        click.echo(f"resumed: {', '.join(done)}")
    missed = [_not_paused("queue", name, paused) for name in wanted if name not in names_of("queue", paused)]
    missed += [_not_paused("task", name, paused) for name in tasks if name not in names_of("task", paused)]
    for line in missed:
        click.echo(f"Error: {line}", err=True)
    return 1 if missed else 0


def _not_paused(kind: str, name: str, paused: tuple[Pause, ...]) -> str:
    known = names_of(kind, paused)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"paused: {', '.join(known) or 'none'}"
    return f"{kind} {name!r} is not paused; {hint}"
