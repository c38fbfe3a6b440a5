"""How verbs print: tables for people, JSON for programs."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click

from leveret.cli.invocation import invocation

WIDE = 240
"""Columns where the output is no terminal: a pipe must not be cut at 80."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their headings; numbers stand right."""
    # Rich takes a tenth of the start of a command, and most commands print a line, or JSON.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [["" if cell is None else cell for cell in row] for row in rows]
    table = Table(box=box.SIMPLE_HEAD if _terminal() else None, pad_edge=False, header_style="bold")
    for index, column in enumerate(columns):
        numbers = bool(cells) and all(isinstance(row[index], int | float) for row in cells)
        table.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(str(cell)) for cell in row))
    Console(width=None if _terminal() else WIDE, no_color=invocation().no_color, highlight=False).print(table)


def print_json(value: Any) -> None:
    """Print for a program; what JSON cannot hold is written as its text."""
    click.echo(json.dumps(value, default=_plain, indent=2))


def age(moment: float | None) -> str:
    """Seconds since a unix time, as a person reads it."""
    if not moment:
        return ""
    seconds = max(0, int(time.time() - moment))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, set | frozenset | tuple) else str(value)


def _terminal() -> bool:
    return sys.stdout.isatty()
