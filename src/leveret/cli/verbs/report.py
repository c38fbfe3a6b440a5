"""`leveret report`: what a bug report should say."""

import os
import platform
import sqlite3
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from leveret.cli.finder import named
from leveret.cli.invocation import invocation, invocation_options
from leveret.cli.node.cpus import usable_cpus
from leveret.cli.tables import print_json, print_table
from leveret.cli.verbs.target import target_app
from leveret.config.configuration import DEFAULT
from leveret.wiring.parts import discovered

PACKAGES = ("leveret", "msgspec", "click", "rich", "PyYAML", "backports.zstd", "Django", "Flask", "celery")


@click.command("report")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@invocation_options
def command(as_json: bool) -> None:
    """Show versions, every part found and from where, and the app's settings."""
    facts, settings = _versions(), _settings()
    parts = [(part.kind, part.name, part.target, part.origin) for part in discovered()]
    if as_json:
        keys = ("kind", "name", "target", "origin")
        print_json({"versions": facts, "parts": [dict(zip(keys, part, strict=True)) for part in parts], **settings})
        return
    for name, value in facts.items():
        click.echo(f"{name:<16}{value}")
    click.echo()
    print_table(("part", "name", "where", "from"), parts)
    click.echo()
    for name, value in settings.get("settings", {}).items():
        click.echo(f"{name}: {value!r}")


def _versions() -> dict[str, Any]:
    found = {name: _version(name) for name in PACKAGES}
    return {
        **{name: installed for name, installed in found.items() if installed},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "cpus": usable_cpus(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _settings() -> dict[str, Any]:
    """The app's settings that are not defaults; nothing where no app is named."""
    if named(invocation().app, os.environ, Path.cwd()) is None:
        return {}
    rows = target_app().conf.origins()
    return {"settings": {name: value for name, value, origin in rows if origin != DEFAULT}}
