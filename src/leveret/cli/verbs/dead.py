"""`leveret dead`: messages that could not be run, and what to do with them."""

from datetime import UTC, datetime
from typing import Any

import click

from leveret.cli.invocation import invocation_options
from leveret.cli.tables import age, print_json, print_table
from leveret.cli.verbs.target import on_drivers, target_settings
from leveret.config.settings import Settings
from leveret.errors import CallerError, LeveretError
from leveret.model.delivery import DeadLetter
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers

ALL = 1_000_000


class NoSuchLetter(CallerError):
    """No dead letter has that id."""


@click.group("dead")
@invocation_options
def command() -> None:
    """Look after dead letters: messages that could not be run, with the reason."""


@command.command("list")
@click.option("-Q", "--queue", help="Only of this queue.")
@click.option("-n", "--limit", type=int, default=100, show_default=True, help="At most so many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def list_(queue: str | None, limit: int, as_json: bool) -> None:
    """List dead letters, newest first."""
    letters = _letters(target_settings(), queue, limit)
    if as_json:
        print_json([_summary(letter) for letter in letters])
    elif letters:
        print_table(
            ("id", "task", "queue", "reason", "charges", "age"),
            [(d.id, _task(d), d.queue, d.reason, len(d.charges), age(d.at)) for d in letters],
        )
    else:
        click.echo("no dead letters")


@command.command("show")
@click.argument("id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def show(id: str, as_json: bool) -> None:
    """Show one dead letter (the start of its ID is enough) with its arguments and the deaths laid to it."""
    settings = target_settings()
    letter = _chosen(_letters(settings, None, ALL), (id,))[0]
    facts = {**_summary(letter), **_content(letter, settings)}
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:<10}{value}")


@command.command("redrive")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("-Q", "--queue", help="All of this queue.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def redrive(ids: tuple[str, ...], everything: bool, queue: str | None, as_json: bool) -> None:
    """Send dead letters to their queues again, charges cleared."""
    settings = target_settings()
    chosen = _wanted(settings, ids, everything, queue)

    async def send(drivers: Drivers) -> int:
        return await drivers.broker.admin().redrive(chosen)

    _tell("redriven", on_drivers(settings, send), as_json)


@command.command("purge")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("-Q", "--queue", help="All of this queue.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def purge(ids: tuple[str, ...], everything: bool, queue: str | None, force: bool, as_json: bool) -> None:
    """Forget dead letters for good."""
    settings = target_settings()
    chosen = _wanted(settings, ids, everything, queue)
    if not force:
        click.confirm(f"Forget {len(chosen)} dead letters for good?", abort=True)

    async def bury(drivers: Drivers) -> int:
        return await drivers.broker.admin().bury(chosen)

    _tell("purged", on_drivers(settings, bury), as_json)


def _tell(done: str, count: int, as_json: bool) -> None:
    if as_json:
        print_json({done: count})
    else:
        click.echo(f"{count} {done}")


def _letters(settings: Settings, queue: str | None, limit: int) -> tuple[DeadLetter, ...]:
    async def look(drivers: Drivers) -> tuple[DeadLetter, ...]:
        return await drivers.broker.admin().dead(queue, limit)

    return on_drivers(settings, look)


def _wanted(settings: Settings, ids: tuple[str, ...], everything: bool, queue: str | None) -> tuple[str, ...]:
    if not ids and not everything and not queue:
        raise click.UsageError("say which: ids, --queue or --all")
    letters = _letters(settings, queue, ALL)
    return tuple(letter.id for letter in (_chosen(letters, ids) if ids else letters))


def _chosen(letters: tuple[DeadLetter, ...], ids: tuple[str, ...]) -> list[DeadLetter]:
    """The letters whose ids begin so; each must be one."""
    found: list[DeadLetter] = []
    for start in ids:
        matching = [letter for letter in letters if letter.id.startswith(start)]
        if len(matching) != 1:
            several = f"{len(matching)} dead letters begin with {start!r}: say more of it"
            raise NoSuchLetter(several if matching else f"no dead letter {start!r}; leveret dead list shows them")
        found += matching
    return found


def _summary(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "task": _task(letter),
        "queue": letter.queue,
        "reason": letter.reason,
        "at": _moment(letter.at),
        "charges": [f"{charge.reason} at {_moment(charge.at)}" for charge in letter.charges],
    }


def _content(letter: DeadLetter, settings: Settings) -> dict[str, Any]:
    try:
        message = build_codec(settings).decode(letter.encoded, letter.queue)
    except LeveretError as error:
        return {"unreadable": str(error), "body": repr(letter.encoded.body[:2000])}
    return {"args": list(message.args), "kwargs": dict(message.kwargs), "retries": message.attempt}


def _task(letter: DeadLetter) -> str:
    return str(letter.encoded.headers.get("task", "?"))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
