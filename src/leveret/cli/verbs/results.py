"""How a result is shown, for `call --wait` and `result`."""

from typing import Any

import click

from leveret.cli.tables import print_json
from leveret.errors import TimeoutError
from leveret.model.state import PENDING, SUCCESS


def show(result: Any, *, timeout: float | None, wait: bool, as_json: bool, traceback: bool = False) -> int:
    """Print what is known of a result; answers 0 unless it failed, was revoked, or did not come in time."""
    if wait:
        try:
            result.get(timeout=timeout, propagate=False)
        except TimeoutError:
            click.echo(f"Error: {result.id} is {result.state} after {timeout:g} s", err=True)
            return 1
    state, value = result.state, result.result
    if as_json:
        print_json({"id": result.id, "state": state, "result": _plain(value), "traceback": result.traceback})
    elif state == SUCCESS:
        click.echo(value if isinstance(value, str) else repr(value))
    elif state == PENDING:
        click.echo(f"{PENDING}: nothing is stored of {result.id}: it waits, runs, was forgotten or never was")
    else:
        click.echo(state if value is None else f"{state}: {_plain(value)}")
    if traceback and result.traceback and not as_json:
        click.echo(result.traceback)
    return 1 if result.failed() or state == "REVOKED" else 0


def _plain(value: Any) -> Any:
    return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else value
