"""`leveret beat`: a scheduler and nothing else. Any number may run, here and inside workers."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from leveret import __version__
from leveret.cli.finder import Found, open_app
from leveret.cli.invocation import invocation, invocation_options
from leveret.cli.node.logs import log_options, set_up_logging
from leveret.cli.node.pidfile import pidfile
from leveret.cli.worker import LEVELS
from leveret.config.settings import Settings
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.signals import beat_init
from leveret.wiring.scheduler import Companion, build_scheduler, schedule_driver

F = TypeVar("F", bound=Callable[..., Any])

SINGLE = "memory://single-scheduler"
UNNEEDED = {
    "schedule": "-s/--schedule is not needed: the schedule lives in the store",
    "scheduler": "-S/--scheduler is not needed: all schedulers share one store",
    "max_interval": "--max-interval is not needed: a change takes effect within a second",
    "enable_remote_control": "--enable-remote-control is not needed: any number of schedulers may run",
}


def _hidden(command: F) -> F:
    """Celery's remaining options, taken because leaving them out changes nothing."""
    command = click.option("-s", "--schedule", "--schedule-filename", "schedule", hidden=True)(command)
    command = click.option("-S", "--scheduler", hidden=True)(command)
    command = click.option("--max-interval", hidden=True)(command)
    command = click.option("-n", "--hostname", hidden=True)(command)
    return click.option("--enable-remote-control", is_flag=True, hidden=True)(command)


@click.command("beat")
@click.argument("positional", metavar="[APP]", required=False)
@click.option("-l", "--loglevel", type=LEVELS, default="WARNING", show_default=True, help="Least level logged.")
@click.option("-f", "--logfile", metavar="FILE", help="Where the log goes, instead of stderr.")
@click.option("--log-json", is_flag=True, help="Log lines as JSON objects.")
@click.option("--pidfile", metavar="FILE", help="Write the process id here.")
@click.option("--single", is_flag=True, help="The only scheduler, its schedule in its memory: needs no store.")
@_hidden
@invocation_options
def command(positional: str | None, **given: Any) -> None:
    """Run a scheduler for APP; start several where one must not be missed."""
    call = invocation()
    found = open_app(positional or call.app, {**call.overrides(), **_overrides(given)})
    settings = found.app.conf.settings
    set_up_logging(settings, _options(found, settings, given, color=not call.no_color))
    schedules = found.app.schedules
    run = build_scheduler(settings, schedules.source, schedules.declared(), found.app.tasks)
    with pidfile(given["pidfile"]):
        if not call.quiet:
            click.echo(_banner(found, settings))
        for name, note in UNNEEDED.items():
            if given[name]:
                click.echo(f"note: {note}", err=True)
        beat_init.send(found.app)
        asyncio.run(until_told(run))


def _overrides(given: dict[str, Any]) -> dict[str, Any]:
    single = {"beat_store": SINGLE} if given["single"] else {}
    return {**single, "worker_log_json": True} if given["log_json"] else single


def _options(found: Found, settings: Settings, given: dict[str, Any], *, color: bool) -> WorkerOptions:
    return WorkerOptions(
        node=Node(name="", incarnation="", boot="", pid=os.getpid()),
        loglevel=given["loglevel"].upper(),
        logfile=given["logfile"],
        log=log_options(settings, terminal=color and not given["logfile"] and sys.stderr.isatty()),
        app=found.path,
    )


def _banner(found: Found, settings: Settings) -> str:
    count = len(found.app.schedules.declared())
    entries = f"{count} {'entry' if count == 1 else 'entries'} of its code"
    lines = [
        f"leveret {__version__} · beat",
        f"  app         {found.app.main or found.path} ({found.path})",
        f"  schedule    {schedule_driver(settings).address}, {entries}",
    ]
    return "\n".join(lines)


async def until_told(run: Companion) -> None:
    """Run until INT or TERM; then what is being sent is not waited for: another scheduler, or the next, sees to it."""
    task = asyncio.ensure_future(run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, task.cancel)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(task.cancel))
    try:
        await task
    except asyncio.CancelledError:
        return
