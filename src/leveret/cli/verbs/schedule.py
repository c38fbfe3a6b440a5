"""`leveret schedule`: what is due when, and what is done about it while schedulers run."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

import click

from leveret.app import Leveret
from leveret.cli.invocation import invocation_options
from leveret.cli.tables import print_json, print_table
from leveret.cli.verbs.schedule_rows import details, row, summary, upcoming_text
from leveret.cli.verbs.target import target_app
from leveret.client.schedules.timings import clocked, crontab, schedule, solar
from leveret.logic.schedules.words import words
from leveret.model.schedules.entry import Standing

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("schedule")
@invocation_options
def command() -> None:
    """Look after the schedule. Changes take effect within a second, without a restart."""


@command.command("list")
@_as_json
@invocation_options
def list_(as_json: bool) -> None:
    """List the entries, with when each is due next."""
    app = target_app()
    standings = _do(app, app.schedules.alist())
    waiting = [entry for entry in app.schedules.declared() if entry.name not in {s.entry.name for s in standings}]
    if as_json:
        print_json([summary(standing) for standing in standings])
        return
    if standings:
        print_table(("entry", "when", "task", "next", "last", "state"), [row(standing) for standing in standings])
    for entry in waiting:
        click.echo(f"{entry.name}: {words(entry)}; comes into the store when a scheduler starts")
    if not standings and not waiting:
        click.echo("no entries")


@command.command("show")
@click.argument("name")
@_as_json
@invocation_options
def show(name: str, as_json: bool) -> None:
    """Show one entry with its last runs: id, moment, how late, and what came of it."""
    app = target_app()
    standing = _do(app, app.schedules.aget(name))
    states = {run.id: _state(app, run.id) for run in standing.runs if run.outcome != "skipped"}
    if as_json:
        print_json(details(standing, states))
        return
    for field, value in summary(standing).items():
        click.echo(f"{field:<10}{value}")
    if standing.runs:
        runs = details(standing, states)["runs"]
        print_table(("moment", "late", "sent", "state", "id"), [tuple(run.values()) for run in runs])


@command.command("next")
@click.argument("name")
@click.argument("count", type=click.IntRange(1, 1000), default=5)
@_as_json
@invocation_options
def next_(name: str, count: int, as_json: bool) -> None:
    """Show when an entry is due next, on the wall clock of its zone."""
    app = target_app()
    standing = _known(app, name)
    moments = upcoming_text(standing, count)
    if as_json:
        print_json({"entry": name, "when": words(standing.entry), "next": moments})
        return
    click.echo(words(standing.entry))
    for moment in moments:
        click.echo(f"  {moment}")
    if not moments:
        click.echo("  never again")


def _when(function: F) -> F:
    """The options that say when and how."""
    for name, text in reversed(_TERMS):
        function = click.option(name, metavar="...", help=text)(function)
    return function


_TERMS = (
    ("--every", "Seconds between two runs."),
    ("--cron", 'A crontab line ("30 7 * * mon-fri") or a name such as @daily.'),
    ("--solar", "EVENT,LATITUDE,LONGITUDE, as in sunset,37.57,126.98."),
    ("--at", "Once, at this time (2030-01-31T09:00+09:00)."),
    ("--args", "Positional arguments, a JSON list."),
    ("--kwargs", "Keyword arguments, a JSON object."),
    ("--queue", "Queue."),
    ("--priority", "Priority."),
    ("--expires", "Seconds after which an unstarted run is worthless."),
    ("--timezone", "The entry's zone, as in Asia/Seoul."),
    ("--start", "Nothing is due before this time."),
    ("--end", "Nothing is due after this time."),
    ("--overlap", "allow, or skip: no run while the one before goes on."),
    ("--catch-up", "Of missed moments: skip, one, all or all(25)."),
)


@command.command("add")
@click.argument("name")
@click.argument("task")
@_when
@invocation_options
def add(name: str, task: str, **given: str | None) -> None:
    """Add an entry NAME that runs TASK."""
    app = target_app()
    item = _item(given)
    if "schedule" not in item:
        raise click.UsageError("say when: --every, --cron, --solar or --at")
    standing = _do(app, app.schedules.acreate(name, item.pop("schedule"), task, **item))
    click.echo(f"{name}: {words(standing.entry)}")


@command.command("edit")
@click.argument("name")
@click.option("--task", metavar="TASK", help="Another task.")
@_when
@invocation_options
def edit(name: str, **given: str | None) -> None:
    """Change what is given of entry NAME, and keep the rest."""
    app = target_app()
    item = _item(given)
    if not item:
        raise click.UsageError("say what to change")
    standing = _do(app, app.schedules.achange(name, **item))
    click.echo(f"{name}: {words(standing.entry)}")


def _item(given: dict[str, str | None]) -> dict[str, Any]:
    """What was given, as an item of `beat_schedule`."""
    item: dict[str, Any] = {name: given[name] for name in _PLAIN if given.get(name) is not None}
    timings = [_TIMINGS[name](text) for name in _TIMINGS if (text := given[name]) is not None]
    if len(timings) > 1:
        raise click.UsageError("an entry has one of --every, --cron, --solar and --at")
    if timings:
        item["schedule"] = timings[0]
    for name, kind in (("args", list), ("kwargs", dict)):
        if (text := given[name]) is not None:
            item[name] = _json(name, text, kind)
    options = {name: _number(name, given[name]) for name in ("priority", "expires") if given[name] is not None}
    if given["queue"] is not None:
        options["queue"] = given["queue"]
    return {**item, "options": options} if options else item


_PLAIN = ("task", "timezone", "start", "end", "overlap", "catch_up")


def _solar(text: str) -> solar:
    event, _, place = text.partition(",")
    latitude, comma, longitude = place.partition(",")
    if not comma:
        raise click.UsageError(f"--solar {text}: EVENT,LATITUDE,LONGITUDE is expected")
    return solar(event, _number("solar", latitude), _number("solar", longitude))


def _at(text: str) -> clocked:
    try:
        return clocked(datetime.fromisoformat(text))
    except ValueError as error:
        raise click.UsageError(f"--at {text}: no time such as 2030-01-31T09:00+09:00") from error


_TIMINGS: dict[str, Callable[[str], Any]] = {
    "every": lambda text: schedule(_number("every", text)),
    "cron": crontab.from_string,
    "solar": _solar,
    "at": _at,
}


def _number(name: str, text: str | None) -> Any:
    try:
        number = float(text or "")
    except ValueError as error:
        raise click.UsageError(f"--{name} {text}: a number is expected") from error
    return int(number) if number.is_integer() else number


def _json(name: str, text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"--{name}: {text} is no JSON: {error}") from error
    if not isinstance(value, kind):
        raise click.UsageError(f"--{name}: {text} is no JSON {'list' if kind is list else 'object'}")
    return value


@command.command("pause")
@click.argument("names", nargs=-1, required=True)
@invocation_options
def pause(names: tuple[str, ...]) -> None:
    """Stop entries until they are resumed."""
    app = target_app()
    _do(app, app.schedules.apause(*names))
    click.echo(f"paused: {', '.join(names)}")


@command.command("resume")
@click.argument("names", nargs=-1, required=True)
@invocation_options
def resume(names: tuple[str, ...]) -> None:
    """Let entries go on from now."""
    app = target_app()
    _do(app, app.schedules.aresume(*names))
    click.echo(f"resumed: {', '.join(names)}")


@command.command("run")
@click.argument("name")
@invocation_options
def run(name: str) -> None:
    """Send a run of entry NAME now; its schedule does not move. Prints the task's id."""
    app = target_app()
    click.echo(_do(app, app.schedules.arun(name)).id)


@command.command("delete")
@click.argument("names", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Also what an app's code defined; what it still defines comes back.")
@invocation_options
def delete(names: tuple[str, ...], force: bool) -> None:
    """Forget entries and their history."""
    app = target_app()
    _do(app, app.schedules.adelete(*names, force=force))
    click.echo(f"deleted: {', '.join(names)}")


def _known(app: Leveret, name: str) -> Standing:
    """From the store; one that only the code knows yet is shown as it will be."""
    declared = {entry.name: entry for entry in app.schedules.declared()}
    standings = {standing.entry.name: standing for standing in _do(app, app.schedules.alist())}
    if name not in standings and name in declared:
        now = app.client.clock.now()
        return Standing(entry=declared[name], revision=0, cursor=now, due=0.0)
    return _do(app, app.schedules.aget(name))


def _state(app: Leveret, key: str) -> str:
    return str(app.AsyncResult(key).state)


def _do(app: Leveret, work: Coroutine[Any, Any, T]) -> T:
    async def run() -> T:
        try:
            return await work
        finally:
            await app.aclose()

    return asyncio.run(run())
