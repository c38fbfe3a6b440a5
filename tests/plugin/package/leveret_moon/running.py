"""A pool, a schedule and a verb."""

import click

from leveret.executors.thread import ThreadExecutor


class MoonExecutor(ThreadExecutor):
    """Threads by another name."""


class FullMoon:
    """A schedule, for when schedules come."""


@click.command("moonrise")
@click.argument("name", default="moon")
def moonrise(name: str) -> None:
    """Say that the moon is up."""
    click.echo(f"the {name} is up")
