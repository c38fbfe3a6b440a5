"""How the findings are printed: what needs a hand first."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from leveret.cli.finder import named
from leveret.cli.invocation import invocation
from leveret.cli.migrating.findings import Finding
from leveret.cli.migrating.program import check
from leveret.cli.tables import print_json, print_table
from leveret.config.row import Mark

ORDER = (Mark.NOT_YET, Mark.DIFFERS, Mark.NOT_NEEDED, Mark.WORKS)
MOST_PLACES = 3


def show(as_json: bool) -> None:
    """Check the app that is named anywhere, and print what was found."""
    findings, remarks = check(named(invocation().app, os.environ, Path.cwd()))
    if as_json:
        print_json({"findings": [{**asdict(one), "mark": one.mark.value} for one in findings], "remarks": remarks})
        return
    for mark in ORDER:
        found = [one for one in findings if one.mark is mark]
        if found:
            click.echo(f"\n{mark.value}: {len(found)}")
            print_table(("what", "how it is here", "change", "where"), [_row(one) for one in found])
    for remark in remarks:
        click.echo(f"\nnote: {remark}")
    counts = Counter(one.mark for one in findings)
    click.echo(
        "\n" + (", ".join(f"{counts[mark]} {mark.value}" for mark in ORDER if counts[mark]) or "nothing of Celery")
    )
    click.echo("nothing was changed; the way of a move: docs/how-to/move-from-celery.md")


def _row(one: Finding) -> tuple[str, str, str, str]:
    kind = "default of " if one.kind == "default" else ""
    return f"{kind}{one.name}", one.note, one.change, _places(one.places)


def _places(places: Sequence[str]) -> str:
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return ", ".join(places[:MOST_PLACES]) + more
