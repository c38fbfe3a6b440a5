"""What `leveret pause` and `leveret resume` have in common."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from leveret.cli.tables import age, print_json, print_table
from leveret.ports.limiting.pauses import Pause

F = TypeVar("F", bound=Callable[..., Any])


def name_options(function: F) -> F:
    """Which queues and task types."""
    for option in (
        click.argument("names", nargs=-1, metavar="[QUEUE]..."),
        click.option("-Q", "--queue", "queues", multiple=True, metavar="A,B", help="These queues."),
        click.option("-t", "--task", "tasks", multiple=True, metavar="NAME", help="This task type; may be repeated."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    ):
        function = option(function)
    return function


def show(paused: Iterable[Pause], *, as_json: bool = False) -> None:
    """All that is paused."""
    rows = [(one.kind, one.name, age(one.since), one.by) for one in paused]
    if as_json:
        print_json([facts(one) for one in paused])
    elif rows:
        print_table(("paused", "name", "for", "by"), rows)
    else:
        click.echo("nothing is paused")


def facts(one: Pause) -> dict[str, object]:
    """For JSON."""
    return {field: getattr(one, field) for field in one.__struct_fields__}


def names_of(kind: str, paused: Iterable[Pause]) -> tuple[str, ...]:
    return tuple(one.name for one in paused if one.kind == kind)
