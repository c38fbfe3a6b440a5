"""What `leveret inspect` and `leveret control` have in common: Celery's options, and how answers are printed."""

import json
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

import click

from leveret.app import Leveret
from leveret.cli.invocation import invocation
from leveret.cli.verbs.target import target_app
from leveret.client.control.custom import added
from leveret.logic.remote.commands import BUILT_IN, Info
from leveret.logic.remote.marks import of_command

F = TypeVar("F", bound=Callable[..., Any])

UNAVAILABLE = 69
"""Nobody answered: Celery's exit code for it (sysexits EX_UNAVAILABLE)."""


def options(kind: str) -> Callable[[F], F]:
    """Celery's options of both verbs."""

    def decorate(command: F) -> F:
        made = [
            click.argument("name", metavar="COMMAND"),
            click.argument("arguments", nargs=-1),
            click.option("-t", "--timeout", type=float, metavar="SECONDS", help="How long to wait for answers."),
            click.option("-d", "--destination", metavar="A,B", help="Only these nodes."),
            click.option("-j", "--json", "as_json", is_flag=True, help="Print JSON."),
            click.option(
                "--list",
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=lambda context, _, asked: _list(context, kind) if asked else None,
                help="List the commands and exit.",
            ),
        ]
        for one in reversed(made):
            command = one(command)
        return command

    return decorate


def commands(kind: str) -> Mapping[str, Info]:
    """By name and alias: the built-in ones, and those of an app that was imported."""
    found = {info.name: info for info in (*BUILT_IN, *added()) if info.kind == kind}
    return {**found, **{info.alias: info for info in found.values() if info.alias}}


def ask(kind: str, name: str, arguments: tuple[str, ...], *, timeout: float | None, destination: str | None,
        as_json: bool) -> int:  # fmt: skip
    """Send a command and print what nodes say; answers the exit code."""
    app = target_app()
    if name not in commands(kind):
        # The app's own commands are known once its modules are.
        _import(app)
    info = _find(kind, name)
    found = compile_arguments(info, arguments)
    replies = app.control.broadcast(
        info.name,
        found,
        destination=None if destination is None else [part.strip() for part in destination.split(",")],
        timeout=max(info.default_timeout, 1.0) if timeout is None else timeout,
        reply=True,
        callback=None if as_json else _print,
    )
    if not replies:
        if of_command(info.name, found):
            click.echo("written into the store; no node answered")
            return 0
        click.echo("Error: No nodes replied within time constraint", err=True)
        return UNAVAILABLE
    if as_json:
        click.echo(json.dumps({node: value for reply in replies for node, value in reply.items()}))
    elif not invocation().quiet:
        click.echo(f"\n{len(replies)} {'node' if len(replies) == 1 else 'nodes'} online.")
    return 0


def compile_arguments(info: Info, given: tuple[str, ...]) -> dict[str, Any]:
    """Words of the command line as the command's arguments."""
    if len(given) > len(info.args) and info.variadic is None:
        raise click.UsageError(f"{info.name} takes {info.signature or 'no arguments'}")
    found: dict[str, Any] = {}
    for (name, kind), word in zip(info.args, given, strict=False):
        try:
            found[name] = word if kind is None else kind(word)
        except ValueError as error:
            raise click.UsageError(f"{info.name}: {name} is {word!r}: {error}") from error
    if info.variadic is not None:
        found[info.variadic] = list(given[len(info.args) :])
    return found


def _import(app: Leveret) -> None:
    if app.file is not None:
        app.import_modules()


def _find(kind: str, name: str) -> Info:
    known = commands(kind)
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise click.UsageError(f"no {kind} command {name!r}{hint} (leveret {kind} --list)")


def _list(context: click.Context, kind: str) -> None:
    formatter = click.HelpFormatter()
    with formatter.section(f"{kind.capitalize()} commands"):
        rows = {info.name: info for info in commands(kind).values() if info.visible}
        formatter.write_dl([(f"{name} {info.signature}".strip(), info.help) for name, info in sorted(rows.items())])
    click.echo(formatter.getvalue(), nl=False)
    context.exit()


def _print(reply: Mapping[str, Any]) -> None:
    """As Celery's command line does."""
    color = not invocation().no_color
    for node, value in reply.items():
        status, body = _pretty(value)
        click.echo(click.style(f"->  {node}: ", fg="cyan" if color else None, bold=color) + status)
        for line in body.splitlines():
            click.echo(f"        {line}")


def _pretty(value: Any) -> tuple[str, str]:
    match value:
        case {"ok": text}:
            return "OK", str(text)
        case {"error": text}:
            return "ERROR", str(text)
        case []:
            return "OK", "- empty -"
        case list():
            return "OK", "\n".join(f"* {one if isinstance(one, str) else json.dumps(one)}" for one in value)
        case _:
            return "OK", value if isinstance(value, str) else json.dumps(value, indent=2)
