"""Joins one worker process: drivers, codec, rules, runner and the executor its pool names."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any, cast

from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.executors.batches import BatchExecutor
from leveret.logic.canvas.errbacks import ERRBACK
from leveret.logic.codec import Codec
from leveret.logic.following import Following
from leveret.logic.limiting.fairness import no_lanes
from leveret.logic.recording import Rules
from leveret.model.delivery import SessionId
from leveret.model.node import Session
from leveret.model.options import WorkerOptions
from leveret.model.task import Registry, TaskDefinition
from leveret.model.topology import ERRBACK_PREFIX
from leveret.ports.broker import Capability, Severable
from leveret.ports.clock import Clock
from leveret.ports.driver import BrokerDriver
from leveret.ports.executor import Executor, Runs
from leveret.ports.slots import SlotPage
from leveret.wiring import parts
from leveret.wiring.client import build_router
from leveret.wiring.clock import hours_west
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import Drivers, chord_timeout, driver_options, open_drivers
from leveret.wiring.memory import resident_kibibytes
from leveret.wiring.zone import naive_zone
from leveret.worker.batching.runner import BatchRunner
from leveret.worker.context import WorkerParts
from leveret.worker.runner import Runner

MakeExecutor = Callable[[Runs], Executor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A worker's parts, with what its process needs beside them."""

    parts: WorkerParts
    runner: Runner
    executor: Any
    drivers: Drivers


def join_worker(
    settings: Settings,
    options: WorkerOptions,
    registry: Registry,
    clock: Clock,
    page: SlotPage | None = None,
    make_executor: MakeExecutor | None = None,
) -> Joined:
    """Make the parts of one worker process; nothing is opened yet. Without a page nobody supervises it: the worker
    keeps its own lease and does the store's chores."""
    drivers = open_drivers(settings, clock)
    check_tasks(drivers.broker, registry, options)
    codec, node, alone = build_codec(settings), options.node, page is None
    runner = Runner(codec=codec, clock=clock, page=page, hostname=node.name)
    executor = executor_of(runner, options, registry, clock, make_executor)
    broker, gate = drivers.broker.broker(), drivers.gate()
    if gate is None:
        check_limited(registry, drivers.results_address)
    made = WorkerParts(
        broker=broker,
        leases=drivers.broker.leases(),
        executor=executor,
        codec=codec,
        registry=registry,
        rules=build_rules(settings, drivers, registry, codec, node.name),
        clock=clock,
        session=new_session(options, clock),
        node=node,
        backend=drivers.backend_beside(broker, inline=True),
        commit=drivers.commit(),
        chores=drivers.chores() if alone else None,
        revocations=None if drivers.claims_look else drivers.revocations(),
        gate=gate,
        rate_limits=not settings.worker_disable_rate_limits,
        pauses=drivers.pauses(),
        outbox=None if drivers.remembering is None else drivers.remembering.outbox(),
        page=page,
        events=drivers.events(),
        utcoffset=hours_west(),
        severable=None if Capability.LEASE in broker.capabilities else cast(Severable, broker),
        resident=resident_kibibytes,
        batches=isinstance(executor, BatchExecutor),
        keeps_lease=alone,
    )
    return Joined(parts=made, runner=runner, executor=executor, drivers=drivers)


def build_rules(settings: Settings, drivers: Drivers, registry: Registry, codec: Codec, worker: str) -> Rules:
    """What `admit` and `conclude` go by."""
    return Rules(
        codec=codec,
        following=build_following(settings, drivers, registry),
        worker=worker,
        result_expires=settings.result_expires,
        tombstone_expires=driver_options(settings).tombstone_expires,
        extended=settings.result_extended,
        joins=drivers.joins,
        sizes_known=bool(getattr(drivers.backend, "shares_joins", False)),
    )


def executor_of(
    runner: Runner, options: WorkerOptions, registry: Registry, clock: Clock, make: MakeExecutor | None
) -> Executor:
    """Apps without batch tasks go without what those need, and pay nothing for it."""
    found = map(registry.find, registry)
    batches = any(definition is not None and definition.batch is not None for definition in found)
    runs: Runs = BatchRunner(runner) if batches else runner
    executor = make(runs) if make else build_executor(options, runs, clock)
    return BatchExecutor(executor) if batches else executor


def build_following(settings: Settings, drivers: Drivers, registry: Registry) -> Following:
    celery = settings.profile == "celery"
    return Following(
        registry=registry,
        router=build_router(settings, drivers.broker.capabilities),
        default_queue=settings.task_default_queue,
        # A signature with a datetime that should have been refused: where it was sent from is not known here.
        zone=naive_zone(settings) or UTC,
        chord_timeout=chord_timeout(settings, drivers),
        errback_lane=ERRBACK if drivers.broker.capabilities >= {Capability.LANES, Capability.FANOUT} else "",
        errback_prefix=ERRBACK_PREFIX if celery and Capability.EXCHANGES in drivers.broker.capabilities else "",
    )


def check_tasks(broker: BrokerDriver, registry: Registry, options: WorkerOptions) -> None:
    """Refuse, before anything runs, what this broker cannot do for a task."""
    check_limits(broker, registry, options)
    check_lanes(broker, registry)


def check_limits(broker: BrokerDriver, registry: Registry, options: WorkerOptions) -> None:
    """A broker that takes back what runs too long must know every limit before anything runs."""
    check = getattr(broker, "check_limit", None)
    for name in registry if check is not None else ():
        definition = registry.find(name)
        limit = definition.time_limit if definition is not None and definition.time_limit else options.time_limit
        if limit is not None and check is not None:
            check(name, limit)


def check_lanes(broker: BrokerDriver, registry: Registry) -> None:
    """A fair task that is not fair is worse than none: its tenants would find out."""
    if Capability.LANES not in broker.capabilities:
        for name in registry:
            definition = registry.find(name)
            if definition is not None and definition.fair_by is not None:
                raise ImproperlyConfigured(no_lanes(name, broker.address))


def check_limited(registry: Registry, address: str) -> None:
    """Refuse tasks with limits that need a store, before anything runs without them. A node's `rate_limit` needs none,
    and a retry budget that nobody asked for is left out."""
    limited = [
        f"{name} ({', '.join(kinds)})"
        for name in registry
        if (definition := registry.find(name)) is not None and (kinds := list(_limit_kinds(definition)))
    ]
    if limited:
        raise ImproperlyConfigured(
            f"limits hold for the whole cluster and need a store that keeps them, and {address or 'this broker'} "
            'is none: set result_backend to one that does ("redis://...", "sqlite:///..."), or take away what cannot '
            f"be kept: {', '.join(limited)}"
        )


def _limit_kinds(definition: TaskDefinition) -> Iterator[str]:
    if definition.limits:
        yield "limits"
    if definition.unique is not None:
        yield "unique_for"
    if definition.breaker is not None:
        yield "breaker"


def build_executor(options: WorkerOptions, runner: Runs, clock: Clock) -> Executor:
    """The executor of a pool, by name or `package.module:Class`."""
    if options.slots < 1:
        raise ImproperlyConfigured(f"concurrency must be at least 1, not {options.slots}")
    made: Executor = parts.load("executors", options.pool)(
        runner.run, runner.run_async, options.slots, monotonic=clock.monotonic
    )
    return made


def new_session(options: WorkerOptions, clock: Clock) -> Session:
    node = options.node
    return Session(
        id=SessionId(clock.new_id()),
        node=node.name,
        incarnation=node.incarnation,
        pid=os.getpid(),
        quarantine=options.quarantine,
    )
