"""Joins a supervisor: the store's leases and chores, and the entry its children run."""

import platform
from collections import Counter
from dataclasses import replace
from typing import cast

from leveret.config.settings import Settings
from leveret.logic.pools.scaling import Limits
from leveret.logic.wire.events import EventWriter
from leveret.model.options import WorkerOptions
from leveret.ports.driver import Witness
from leveret.supervisor.nursery import Forkserver
from leveret.supervisor.options import Log, SupervisorHooks, SupervisorOptions, log_to_logging
from leveret.supervisor.scaling.autoscaler import Autoscaler
from leveret.supervisor.supervisor import Supervisor
from leveret.supervisor.telling.board import Board
from leveret.supervisor.telling.herald import Herald
from leveret.supervisor.telling.http import WebServer
from leveret.supervisor.telling.lines import Dialect
from leveret.supervisor.telling.statsd import Statsd, StatsdOptions
from leveret.wiring.clock import SystemClock, hours_west
from leveret.wiring.drivers import open_drivers

ENTRY = "leveret.cli.child"
"""By name: it imports the app, which a supervisor never does."""


def build_supervisor(
    settings: Settings, options: WorkerOptions, hooks: SupervisorHooks, forkserver: Forkserver | None = None
) -> Supervisor:
    """Make the supervisor of one node. `forkserver` has imported the app already; without one it starts its own."""
    clock = SystemClock()
    drivers = open_drivers(settings, clock)
    if settings.worker_metrics_port or settings.worker_statsd_host:
        hooks, deaths = _counting(hooks)
    supervisor = Supervisor(
        SupervisorOptions(worker=options, entry=ENTRY, lease_seconds=settings.lease_seconds),
        drivers.broker.leases(),
        clock,
        hooks,
        drivers.chores(),
        cast(Witness, drivers.broker) if hasattr(drivers.broker, "on_testimony") else None,
    )
    events = drivers.events()
    if events is not None and options.heartbeat_seconds:
        writer = EventWriter(options.node.name, options.node.pid, hours_west())
        software = ("leveret", options.version, platform.system())
        herald = Herald(
            events, writer, clock, supervisor.account.total, software=software, frequency=options.heartbeat_seconds
        )
        supervisor.account.herald = herald
        supervisor.companions.append(herald.run)
    if settings.worker_metrics_port:
        facts = {"node": options.node.name, "version": options.version, "pool": options.pool}
        board = Board(supervisor.account, drivers.broker.admin(), drivers.broker.leases(), clock, facts)
        board.deaths = deaths
        server = WebServer(settings.worker_metrics_host, settings.worker_metrics_port, board.answer)
        supervisor.companions.append(server.run)
    if settings.worker_statsd_host:
        statsd = Statsd(
            _statsd(settings, options), supervisor.account, drivers.broker.admin(), drivers.broker.leases(), clock
        )
        statsd.deaths = deaths
        supervisor.companions.append(statsd.run)
    if forkserver is None:
        supervisor.start()
    else:
        supervisor.adopt(forkserver)
    return supervisor


def _statsd(settings: Settings, options: WorkerOptions) -> StatsdOptions:
    node = {"node": options.node.name}
    dialect = Dialect(prefix=settings.worker_statsd_prefix, tags=settings.worker_statsd_tags, everywhere=node)
    return StatsdOptions(
        host=settings.worker_statsd_host or "",
        port=settings.worker_statsd_port,
        interval=settings.worker_statsd_interval,
        dialect=dialect,
    )


def autoscale(
    supervisor: Supervisor, settings: Settings, options: WorkerOptions, limits: Limits, log: Log = log_to_logging
) -> None:
    """Have a node's pool follow its queues."""
    clock = SystemClock()
    admin = open_drivers(settings, clock).broker.admin()
    supervisor.autoscaler = Autoscaler(supervisor.pool, admin, options.queues, limits, clock, log)
    supervisor.companions.append(supervisor.autoscaler.run)


def _counting(hooks: SupervisorHooks) -> tuple[SupervisorHooks, Counter[str]]:
    """The hooks, with deaths counted by their reason."""
    deaths: Counter[str] = Counter()

    def on_death(pid: int, reason: str, ran: tuple[str, ...]) -> None:
        deaths[reason] += 1
        hooks.on_death(pid, reason, ran)

    return replace(hooks, on_death=on_death), deaths
