"""`leveret worker`: read the command line, have the app imported in a child, and meanwhile get ready to supervise."""

import os
from collections.abc import Callable, MutableMapping
from importlib import import_module
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeVar

import click

from leveret.cli.invocation import Invocation, invocation, invocation_options
from leveret.cli.node.plan import Request, ask

LEVELS = click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False)

F = TypeVar("F", bound=Callable[..., Any])

SETTINGS = {
    "concurrency": "worker_concurrency",
    "pool": "worker_pool",
    "max_tasks_per_child": "worker_max_tasks_per_child",
    "max_memory_per_child": "worker_max_memory_per_child",
    "time_limit": "task_time_limit",
    "soft_time_limit": "task_soft_time_limit",
    "prefetch_multiplier": "worker_prefetch_multiplier",
    "soft_shutdown_timeout": "worker_soft_shutdown_timeout",
    "include": "include",
    "metrics_port": "worker_metrics_port",
    "metrics_host": "worker_metrics_host",
}
"""Option -> the setting it stands for; each process lays them over the app's own."""

UNNEEDED = {
    "optimization": "-O is not needed: a slot never fetches what it cannot start soon",
    "without_gossip": "--without-gossip is not needed: nodes do not gossip",
    "without_mingle": "--without-mingle is not needed: nodes do not mingle",
    "statedb": "--statedb is not needed: revocations live in the store",
    "disable_prefetch": "--disable-prefetch is not needed: nothing waits behind a running task",
    "schedule": "-s/--schedule is not needed: the schedule lives in the store",
    "scheduler": "--scheduler is not needed: every worker's scheduler shares one store",
    "pool_start_method": "--pool-start-method is not needed: forking is left off where it is not safe",
}
REFUSED = {
    "detach": "--detach: a worker stays in the foreground; let systemd or a container start it (--pidfile, --logfile)",
    "uid": "--uid: a worker keeps the user it is started as; let systemd (User=) or the container set it",
    "gid": "--gid: a worker keeps the group it is started as; let systemd (Group=) or the container set it",
    "umask": "--umask: let systemd (UMask=), the container or the shell set it",
    "executable": "--executable: a worker runs on the Python it is started with",
}


_VALUED = ("--pool-start-method", "--scheduler")
_DAEMON = ("--uid", "--gid", "--umask", "--executable")


def _hidden(command: F) -> F:
    """Celery's remaining options: taken where leaving them out changes nothing, refused by name where it would."""
    flags = ("--without-gossip", "--without-mingle", "--disable-prefetch")
    for name in flags:
        command = click.option(name, is_flag=True, hidden=True)(command)
    command = click.option("-O", "--optimization", hidden=True)(command)
    command = click.option("-S", "--statedb", hidden=True)(command)
    command = click.option("-D", "--detach", is_flag=True, hidden=True)(command)
    command = click.option("-s", "--schedule", "--schedule-filename", "schedule", hidden=True)(command)
    for name in (*_VALUED, *_DAEMON):
        command = click.option(name, hidden=True)(command)
    return command


@click.command("worker")
@click.argument("positional", metavar="[APP]", required=False)
@click.option("-c", "--concurrency", metavar="N|auto", help="Slots; auto: the CPUs this process may use.")
@click.option("--autoscale", metavar="MAX,MIN", help="Slots by need: more while messages wait too long, fewer later.")
@click.option("-P", "--pool", metavar="POOL", help="prefork, threads, solo, asyncio or package.module:Class.")
@click.option("-Q", "--queues", metavar="A,B", multiple=True, help="Queues to consume.")
@click.option("-X", "--exclude-queues", metavar="A,B", multiple=True, help="Queues not to consume.")
@click.option("-n", "--hostname", metavar="NAME", help="This node's name, like w1@%h.")
@click.option("-l", "--loglevel", type=LEVELS, default="WARNING", show_default=True, help="Least level logged.")
@click.option("-f", "--logfile", metavar="FILE", help="Where the log goes, instead of stderr.")
@click.option("--log-json", is_flag=True, help="Log lines as JSON objects.")
@click.option("-I", "--include", metavar="A,B", help="Modules to import too.")
@click.option("--max-tasks-per-child", type=int, metavar="N", help="Replace a process after N tasks.")
@click.option("--max-memory-per-child", type=int, metavar="KIB", help="Replace a process that holds more memory.")
@click.option("--time-limit", type=float, metavar="SECONDS", help="Stop a task that runs longer.")
@click.option("--soft-time-limit", type=float, metavar="SECONDS", help="Raise SoftTimeLimitExceeded in it.")
@click.option("--prefetch-multiplier", type=int, metavar="N", help="Messages a slot may hold; adaptive without it.")
@click.option("--soft-shutdown-timeout", type=float, metavar="SECONDS", help="What running tasks get when stopped now.")
@click.option("--pidfile", metavar="FILE", help="Write the process id here.")
@click.option("--purge", "--discard", is_flag=True, help="First forget what waits in the queues it consumes.")
@click.option(
    "-B/ ", "--beat/--no-beat", default=None, help="Run a scheduler, or none. [default: yes; no beside Celery]"
)
@click.option("-E", "--task-events", "--events", is_flag=True, help="Tell of each task as events, for monitors.")
@click.option("--heartbeat-interval", type=float, metavar="SECONDS", help="Of the node's own events. [default: 2]")
@click.option("--without-heartbeat", is_flag=True, help="No events of the node itself.")
@click.option("--metrics-port", type=int, metavar="PORT", help="Show /healthz, /readyz and /metrics here.")
@click.option("--metrics-host", metavar="HOST", help="The address for that. [default: 127.0.0.1]")
@click.option("--burst", is_flag=True, help="Stop when the queues are empty.")
@click.option("--check", is_flag=True, help="Check app, settings, broker and permissions, then exit.")
@_hidden
@invocation_options
def command(positional: str | None, **given: Any) -> int:
    """Start a worker for APP, as in `leveret worker tasks:app`."""
    call = invocation()
    call.app = positional or call.app
    notes = _judge(given)
    overrides = _overrides(call, given)
    shared = share_user_metrics(given["metrics_port"], os.environ)
    question = ask(call.app, overrides)
    request = Request(overrides=overrides, notes=notes, color=not call.no_color, banner=not call.quiet, given=given)
    try:
        # By name, and only now: the supervisor's modules are imported while the child imports the app.
        return int(import_module("leveret.cli.node.start").start(question, request))
    finally:
        if shared:
            rmtree(shared, ignore_errors=True)


def share_user_metrics(port: int | None, environment: MutableMapping[str, str]) -> str:
    """A folder in which `prometheus_client` sums up the metrics of all processes, which it must know of before the app
    is imported; answers its name where it is to be removed at the end."""
    if not (port or environment.get("LEVERET_WORKER_METRICS_PORT")) or "PROMETHEUS_MULTIPROC_DIR" in environment:
        return ""
    environment["PROMETHEUS_MULTIPROC_DIR"] = folder = mkdtemp(prefix="leveret-metrics-")
    return folder


def _judge(given: dict[str, Any]) -> list[str]:
    for name, reason in REFUSED.items():
        if given[name]:
            raise click.UsageError(reason)
    return [note for name, note in UNNEEDED.items() if given[name]]


def _overrides(call: Invocation, given: dict[str, Any]) -> dict[str, Any]:
    named = {setting: given[option] for option, setting in SETTINGS.items() if given[option] is not None}
    if given["task_events"]:
        named["worker_send_task_events"] = True
    if given["log_json"]:
        named["worker_log_json"] = True
    return {**call.overrides(), **named}
