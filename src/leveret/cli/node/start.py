"""The supervisor's side of a start: what the app answered becomes a node, its banner and its supervisor."""

import asyncio
import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import replace

import click

from leveret import __version__
from leveret.cli.node.banner import Facts, banner
from leveret.cli.node.beat import Beat, Renewal, decide
from leveret.cli.node.cpus import usable_cpus
from leveret.cli.node.logs import log_options, set_up_logging
from leveret.cli.node.name import node_name
from leveret.cli.node.pidfile import pidfile
from leveret.cli.node.plan import Plan, Question, Request, ask_anew
from leveret.cli.node.queues import consumed_queues, own_queues, split_names
from leveret.config.settings import Settings
from leveret.errors import BrokerError, ImproperlyConfigured
from leveret.logic.pools.scaling import Limits
from leveret.model.node import Node
from leveret.model.options import WorkerOptions
from leveret.ports.broker import Capability
from leveret.ports.limiting.pauses import Pause
from leveret.supervisor.options import SupervisorHooks
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers
from leveret.wiring.parts import find
from leveret.wiring.remote.node import build_listener
from leveret.wiring.supervisor import autoscale, build_supervisor

HEARTBEAT_SECONDS = 2.0
"""As Celery's; a monitor takes a node that was silent for twice as long for lost."""

PAUSED_SECONDS = 2.0
"""How long a banner waits for what is paused."""

log = logging.getLogger("leveret.worker")


def start(question: Question, request: Request) -> int:
    """Be the node until it is told to stop; answers the exit code."""
    plan = question.answer()
    settings = Settings(**plan.settings)
    limits = autoscale_limits(request.given["autoscale"], settings.worker_pool)
    options = worker_options(plan, settings, request)
    beat = decide(plan, settings, request.given["beat"], burst=request.given["burst"])
    facts = replace(_facts(plan, settings, beat), most_slots=None if limits is None else limits.most)
    notices = (*request.notes, *plan.notices, *beat.notices)
    if request.given["check"]:
        return asyncio.run(_check(options, facts, notices))
    set_up_logging(settings, options)
    with pidfile(request.given["pidfile"]):
        renewal = Renewal(lambda: ask_anew(plan.app, request.overrides), settings)
        scheduled = beat.run is not None
        hooks = SupervisorHooks(on_renew=renewal.prepare, on_reload=renewal.ask) if scheduled else SupervisorHooks()
        supervisor = build_supervisor(settings, options, hooks, question.forkserver)
        if limits is not None:
            autoscale(supervisor, settings, options, limits)
        if request.banner:
            facts = replace(facts, paused=asyncio.run(_paused(settings)))
            click.echo(banner(options, facts))
        if request.given["purge"]:
            asyncio.run(_purge(options, settings))
        for notice in notices:
            log.warning("%s", notice)
        listen = build_listener(supervisor, settings, options)
        supervisor.companions += [] if listen is None else [listen]
        if beat.sightings is not None:
            beat.sightings.last = supervisor.account.beats
        if beat.run is not None:
            supervisor.companions += [beat.run, renewal.run]
        return asyncio.run(supervisor.run())


def worker_options(plan: Plan, settings: Settings, request: Request) -> WorkerOptions:
    """The node as plain data for every process of it."""
    given = request.given
    _check_pool(settings.worker_pool)
    limits = autoscale_limits(given["autoscale"], settings.worker_pool)
    processes, slots = layout(settings.worker_pool, settings.worker_concurrency if limits is None else limits.least)
    queues = consumed_queues(settings, plan.queues, split_names(given["queues"]), split_names(given["exclude_queues"]))
    clock, name = SystemClock(), node_name(given["hostname"])
    if Capability.FANOUT in open_drivers(settings, clock).broker.capabilities:
        queues = own_queues(queues, plan.broadcasts, name, direct=settings.worker_direct)
    node = Node(
        name=name,
        incarnation=clock.new_id(),
        boot=boot_id(),
        pid=os.getpid(),
        queues=queues,
        tasks=plan.tasks,
        slots=processes * slots,
        pool=settings.worker_pool,
        started=clock.now(),
        version=__version__,
    )
    return WorkerOptions(
        node=node,
        pool=settings.worker_pool,
        processes=processes,
        slots=slots,
        queues=queues,
        max_tasks_per_child=settings.worker_max_tasks_per_child,
        max_memory_per_child=settings.worker_max_memory_per_child,
        time_limit=settings.task_time_limit,
        soft_time_limit=settings.task_soft_time_limit,
        prefetch_multiplier=settings.worker_prefetch_multiplier,
        soft_shutdown_timeout=settings.worker_soft_shutdown_timeout,
        burst=given["burst"],
        version=__version__,
        heartbeat_seconds=0.0 if given["without_heartbeat"] else given["heartbeat_interval"] or HEARTBEAT_SECONDS,
        task_events=settings.worker_send_task_events,
        metrics=settings.worker_metrics_port is not None or settings.worker_statsd_host is not None,
        loglevel=given["loglevel"].upper(),
        logfile=given["logfile"],
        log_json=settings.worker_log_json,
        log=log_options(settings, terminal=request.color and not given["logfile"] and sys.stderr.isatty()),
        app=plan.app,
        workdir=os.getcwd(),
        settings=request.overrides,
    )


def layout(pool: str, concurrency: int | None) -> tuple[int, int]:
    """(processes, slots in each): prefork has one slot a process, the others have all slots in one process."""
    wanted = concurrency or usable_cpus()
    match pool:
        case "solo":
            return 1, 1
        case "prefork" | "processes":
            return wanted, 1
        case _:
            return 1, wanted


def autoscale_limits(given: str | None, pool: str) -> Limits | None:
    """Read `--autoscale MAX,MIN`; MIN is 1 unless it is said."""
    if given is None:
        return None
    most, comma, least = given.partition(",")
    if pool == "solo":
        raise ImproperlyConfigured("--autoscale: the solo pool has one slot")
    try:
        return Limits(most=int(most), least=int(least) if comma else 1)
    except ValueError:
        raise ImproperlyConfigured(f"--autoscale {given}: it is MAX,MIN, two whole numbers") from None


def _check_pool(pool: str) -> None:
    if pool in ("eventlet", "gevent"):
        raise ImproperlyConfigured(f"-P {pool} is not offered: -P asyncio runs async def tasks, -P threads the others")
    find("executors", pool)


def boot_id() -> str:
    """What tells this start of the machine from the last; empty where the system does not say."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _facts(plan: Plan, settings: Settings, beat: Beat) -> Facts:
    drivers = open_drivers(settings, SystemClock())
    return Facts(
        plan=plan,
        settings=settings,
        broker=drivers.broker.address,
        results=drivers.results_address,
        fused=drivers.fused,
        schedule=beat.address,
    )


async def _paused(settings: Settings) -> tuple[Pause, ...]:
    """For the banner: a store that does not answer now is waited for by whoever claims."""
    drivers = open_drivers(settings, SystemClock())
    broker = drivers.broker.broker()
    try:
        return await asyncio.wait_for(drivers.paused(), PAUSED_SECONDS)
    except (BrokerError, OSError, TimeoutError) as error:
        log.debug("what is paused cannot be looked up: %s", error)
        return ()
    finally:
        await broker.close()
        await drivers.backend_beside(broker).close()


async def _purge(options: WorkerOptions, settings: Settings) -> None:
    """Forget what waits in this node's queues, before anything of it is claimed."""
    drivers = open_drivers(settings, SystemClock())
    admin = drivers.broker.admin()
    await admin.declare(options.queues)
    gone = await admin.purge(options.queues)
    await drivers.broker.broker().close()
    log.warning("purged %d messages in %s of %s", gone, ", ".join(options.queues), drivers.broker.address)


async def _check(options: WorkerOptions, facts: Facts, notices: Iterable[str]) -> int:
    """Do what a start does, up to the first claim: open the broker and the store, and write."""
    drivers = open_drivers(facts.settings, SystemClock())
    await drivers.broker.admin().declare(options.queues)
    broker = drivers.broker.broker()
    await drivers.backend_beside(broker, inline=True).get(("leveret-check",))
    await broker.close()
    click.echo(banner(options, facts))
    for notice in notices:
        click.echo(f"note: {notice}")
    click.echo("ok: app, settings, broker and results are usable")
    return 0
