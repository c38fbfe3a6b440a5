"""`leveret migrate`: what a move from another system needs once."""

from collections import Counter
from importlib import import_module
from typing import cast

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.tables import age, print_json, print_table
from leveret.cli.verbs.target import on_drivers, target_settings
from leveret.errors import ImproperlyConfigured
from leveret.model.delivery import LeftBehind
from leveret.ports.driver import Recoverable
from leveret.ports.recovery import Recovery
from leveret.wiring.drivers import Drivers


@click.group("migrate")
@invocation_options
def command() -> None:
    """Look at a program on Celery, and take over what it left in the broker."""


@command.command("celery")
@click.option("--check", is_flag=True, help="List what works here, what differs and what to change; changes nothing.")
@click.option("--recover", is_flag=True, help="What dead Celery workers held on Redis, back to its queues.")
@click.option("--older-than", type=float, metavar="SECONDS", help="Held for longer; else the visibility timeout.")
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def celery(check: bool, recover: bool, older_than: float | None, yes: bool, as_json: bool) -> None:
    """Look at a program on Celery before it moves (--check), or recover what its dead workers held (--recover).

    --check imports the app that -A names, with Celery installed, and reads the Python files and command lines below the
    current folder.

    --recover puts messages that dead Celery workers held back into their queues, each once. A Celery worker that lives
    and has held one for longer loses it too, as it would to another Celery worker: then the task runs twice.
    """
    if check == recover:
        raise click.UsageError("say what to do: --check or --recover")
    if check:
        # By name: only this asks for what reads a program.
        import_module("leveret.cli.migrating.show").show(as_json)
        return

    async def work(drivers: Drivers) -> tuple[tuple[LeftBehind, ...], int]:
        recovery = _recovery(drivers)
        found = await recovery.look(recovery.usual_age if older_than is None else older_than)
        return found, await recovery.take_over(found) if yes else 0

    found, done = on_drivers(target_settings(), work)
    if as_json:
        print_json({"found": [_facts(one) for one in found], "recovered": done})
    else:
        _show(found, done, yes)


def _recovery(drivers: Drivers) -> Recovery:
    if not hasattr(drivers.broker, "recovery"):
        raise ImproperlyConfigured(
            f"{drivers.broker.address}: only on Redis does Celery leave behind what its dead workers held"
        )
    return cast(Recoverable, drivers.broker).recovery()


def _show(found: tuple[LeftBehind, ...], done: int, yes: bool) -> None:
    kinds = Counter((", ".join(one.queues), one.task) for one in found)
    oldest = {kind: min(one.since for one in found if (", ".join(one.queues), one.task) == kind) for kind in kinds}
    if kinds:
        rows = [
            (queue or "unknown: stays", task, count, age(oldest[queue, task])) for (queue, task), count in kinds.items()
        ]
        print_table(("queue", "task", "messages", "oldest"), rows)
    left = len(found) - done
    if not found:
        click.echo("nothing was left behind")
    elif yes:
        click.echo(
            f"{done} put back" + (f", {left} left: settled meanwhile, or of no queue that is known" if left else "")
        )
    else:
        click.echo(f"{len(found)} left behind; nothing was changed: --yes puts them back")


def _facts(one: LeftBehind) -> dict[str, object]:
    return {"id": one.id, "task": one.task, "queues": one.queues, "since": one.since}
