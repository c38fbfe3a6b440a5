"""Joins a supervisor: the store's leases and chores, and the entry its children run."""

from typing import cast

from leveret.config.settings import Settings
from leveret.logic.pools.scaling import Limits
from leveret.model.options import WorkerOptions
from leveret.ports.driver import Witness
from leveret.supervisor.nursery import Forkserver
from leveret.supervisor.options import Log, SupervisorHooks, SupervisorOptions, log_to_logging
from leveret.supervisor.scaling.autoscaler import Autoscaler
from leveret.supervisor.supervisor import Supervisor
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers

ENTRY = "leveret.cli.child"
"""By name: it imports the app, which a supervisor never does."""


def build_supervisor(
    settings: Settings, options: WorkerOptions, hooks: SupervisorHooks, forkserver: Forkserver | None = None
) -> Supervisor:
    """Make the supervisor of one node. `forkserver` has imported the app already; without one it starts its own."""
    clock = SystemClock()
    drivers = open_drivers(settings, clock)
    supervisor = Supervisor(
        SupervisorOptions(worker=options, entry=ENTRY, lease_seconds=settings.lease_seconds),
        drivers.broker.leases(),
        clock,
        hooks,
        drivers.chores(),
        cast(Witness, drivers.broker) if hasattr(drivers.broker, "on_testimony") else None,
    )
    if forkserver is None:
        supervisor.start()
    else:
        supervisor.adopt(forkserver)
    return supervisor


def autoscale(
    supervisor: Supervisor, settings: Settings, options: WorkerOptions, limits: Limits, log: Log = log_to_logging
) -> None:
    """Have a node's pool follow its queues."""
    clock = SystemClock()
    admin = open_drivers(settings, clock).broker.admin()
    supervisor.autoscaler = Autoscaler(supervisor.pool, admin, options.queues, limits, clock, log)
    supervisor.companions.append(supervisor.autoscaler.run)
