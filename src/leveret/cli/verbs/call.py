"""`leveret call tasks.add 1 2 key=3 --wait`."""

import json
import re
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import click

from leveret.app import Leveret
from leveret.cli.invocation import invocation_options
from leveret.cli.tables import print_json
from leveret.cli.verbs.results import show
from leveret.cli.verbs.target import target_app
from leveret.errors import LeveretError, NotRegistered

_KEYWORD = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@click.command("call")
@click.argument("name")
@click.argument("values", nargs=-1)
@click.option("-a", "--args", "listed", metavar="JSON", help="Positional arguments as a JSON list.")
@click.option("-k", "--kwargs", "keyed", metavar="JSON", help="Keyword arguments as a JSON object.")
@click.option("--countdown", type=float, metavar="SECONDS", help="Run it so much later.")
@click.option("--eta", metavar="ISO", help="Run it at this moment, like 2030-01-01T12:00:00Z.")
@click.option("--expires", metavar="SECONDS|ISO", help="Do not run it after this.")
@click.option("--queue", help="Send it to this queue.")
@click.option("--exchange", help="Send it to this exchange.")
@click.option("--routing-key", help="With this routing key.")
@click.option("--priority", type=click.IntRange(0, 255), help="From 0 to 255.")
@click.option("--serializer", help="json, msgpack, yaml ...")
@click.option("-w", "--wait", is_flag=True, help="Wait for the result and print it.")
@click.option("-t", "--timeout", type=float, metavar="SECONDS", help="Wait no longer than this.")
@click.option("--unregistered", is_flag=True, help="Send it though this app has no task of that name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(name: str, values: tuple[str, ...], **given: Any) -> int:
    """Send the task NAME with VALUES: each is JSON, else text; key=value is a keyword argument."""
    app = target_app()
    args, kwargs = arguments(values, given["listed"], given["keyed"])
    result = _sent(app, name, args, kwargs, _options(given), given["unregistered"])
    if given["wait"]:
        return show(result, timeout=given["timeout"], wait=True, as_json=given["as_json"])
    if given["as_json"]:
        print_json({"id": result.id})
    else:
        click.echo(result.id)
    return 0


def arguments(values: tuple[str, ...], listed: str | None, keyed: str | None) -> tuple[list[Any], dict[str, Any]]:
    """The call's arguments, from the command line's words and its JSON."""
    args = list(_json(listed, list, "-a/--args", "a list"))
    kwargs = dict(_json(keyed, dict, "-k/--kwargs", "an object"))
    for word in values:
        keyword = _KEYWORD.fullmatch(word)
        if keyword:
            kwargs[keyword[1]] = _value(keyword[2])
        else:
            args.append(_value(word))
    return args, kwargs


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _json(text: str | None, kind: type, option: str, expected: str) -> Any:
    if text is None:
        return kind()
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{option} is not JSON: {error}") from error
    if not isinstance(value, kind):
        raise click.UsageError(f"{option} must be {expected} in JSON")
    return value


def _options(given: dict[str, Any]) -> dict[str, Any]:
    names = ("countdown", "queue", "exchange", "routing_key", "priority", "serializer")
    options = {name: given[name] for name in names if given[name] is not None}
    if given["eta"] is not None:
        options["eta"] = _moment(given["eta"], "--eta")
    if given["expires"] is not None:
        try:
            options["expires"] = float(given["expires"])
        except ValueError:
            options["expires"] = _moment(given["expires"], "--expires")
    return options


def _moment(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text}: expected a moment like 2030-01-01T12:00:00+00:00") from error


def _sent(
    app: Leveret, name: str, args: list[Any], kwargs: dict[str, Any], options: dict[str, Any], unregistered: bool
) -> Any:
    known = list(app.tasks)
    if name in known:
        try:
            return app.tasks[name].apply_async(args, kwargs, **options)
        except (TypeError, ValueError) as error:
            raise _Refused(str(error)) from error
    if known and not unregistered:
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise NotRegistered(f"no task named {name!r} in this app{hint} (--unregistered sends it all the same)")
    return app.send_task(name, args, kwargs, **options)


class _Refused(LeveretError):
    """The arguments or options do not fit the task."""
