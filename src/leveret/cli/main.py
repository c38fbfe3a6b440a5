"""`leveret`: one verb per file, imported when it is called; every error is one clear line."""

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from leveret import __version__
from leveret.cli.invocation import invocation, invocation_options
from leveret.errors import LeveretError

VERBS = {
    "worker": ("leveret.cli.worker", "Start a worker: processes that run tasks."),
    "beat": ("leveret.cli.beat", "Run a scheduler alone."),
    "schedule": ("leveret.cli.verbs.schedule", "Look after the schedule: list, add, edit, pause, run, next."),
    "call": ("leveret.cli.verbs.call", "Send a task, and wait for its result if asked."),
    "result": ("leveret.cli.verbs.result", "Show a task's state and result."),
    "explain": ("leveret.cli.insight.explain", "Say why a task is not running, or what happened to it."),
    "doctor": ("leveret.cli.insight.doctor", "Look for settings and states that will hurt."),
    "graph": ("leveret.cli.verbs.graph", "Show where a workflow stands and what it waits for."),
    "status": ("leveret.cli.verbs.status", "Show the nodes that are alive."),
    "inspect": ("leveret.cli.remote.inspect", "Ask nodes what they are doing: active, stats, stack ..."),
    "control": ("leveret.cli.remote.control", "Steer nodes: revoke, pool_grow, add_consumer, shutdown ..."),
    "events": ("leveret.cli.watch.events", "Watch what happens: tasks and nodes, live."),
    "flower": ("leveret.cli.watch.flower", "Start an installed Flower on this broker."),
    "queues": ("leveret.cli.verbs.queues", "Show what waits in each queue, how fast it moves, and what is paused."),
    "pause": ("leveret.cli.pausing.pause", "Stop taking from a queue, or beginning a type of task, everywhere."),
    "resume": ("leveret.cli.pausing.resume", "Let what was paused go on."),
    "purge": ("leveret.cli.verbs.purge", "Forget what waits in queues."),
    "dead": ("leveret.cli.verbs.dead", "Look after dead letters: list, show, redrive, purge."),
    "migrate": ("leveret.cli.verbs.migrate", "Look at a program on Celery; take over what it left in the broker."),
    "config": ("leveret.cli.verbs.config", "Show each setting and where it came from."),
    "report": ("leveret.cli.verbs.report", "Show versions and every part found, for bug reports."),
    "bench": ("leveret.cli.bench", "Measure this machine."),
    "demo": ("leveret.cli.demo", "Watch tasks survive a killed process."),
}
"""Verb -> the module whose `command` it is, and its help line, so that `leveret --help` imports none of them."""

INTERRUPTED = 130


class Verbs(click.Group):
    """The verbs above, then those of installed packages (entry points `leveret.commands`)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS, *sorted(set(_installed()) - set(VERBS))]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in VERBS:
            found = import_module(VERBS[name][0]).command
        elif (point := _installed().get(name)) is not None:
            found = point.load()
        else:
            return None
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            near = get_close_matches(name, self.list_commands(ctx), n=1)
            ctx.fail(f"no verb named {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return name, command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [(name, text) for name, (_, text) in VERBS.items()]
        rows = [*own, *((name, f"From {point.value}.") for name, point in sorted(_installed().items()))]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


def _installed() -> dict[str, Any]:
    # By name: reading the installed packages costs 20 ms, and only a verb that is not ours needs it.
    entry_points = import_module("importlib.metadata").entry_points
    return {point.name: point for point in entry_points(group="leveret.commands")}


def _show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"leveret {__version__}")
        context.exit()


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show it.")
@invocation_options
@click.pass_context
def leveret(context: click.Context) -> None:
    """Run tasks, look at queues and results. The app: -A, else LEVERET_APP, else [tool.leveret] in pyproject.toml."""
    context.obj = invocation()


def main(arguments: Sequence[str] | None = None, app: Any = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 an error, 2 wrongly called. `app` is used where none is named."""
    sys.exit(run(arguments, app))


def run(arguments: Sequence[str] | None = None, app: Any = None) -> int:
    """Run the command line; answers the exit code."""
    try:
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        if app is not None:
            # By name: the finder imports the app's machinery, which most of `leveret worker` stays without.
            arguments = ["-A", import_module("leveret.cli.finder").path_of(app), *arguments]
        answer = leveret.main(arguments, prog_name="leveret", standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # click 8.2 and later; before, help is printed by click itself
            click.echo(error.format_message())
            return 2
        where = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        return _complain(error.format_message() + where, 2)
    except click.ClickException as error:
        return _complain(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # `leveret queues | head`: the reader has gone, and so may we; without this the interpreter complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except LeveretError as error:
        return _complain(str(error), 1)
    except Exception as error:
        if "LEVERET__TRACEBACK" in os.environ:
            raise
        return _complain(f"{type(error).__name__}: {error} (LEVERET__TRACEBACK=1 shows where)", 1)


def _complain(message: str, code: int) -> int:
    line = " ".join(part for part in message.split())
    click.echo(click.style("Error: ", fg="red") + line, err=True)
    return code
