"""`python -m bench rabbitmq`: Leveret beside Celery and Dramatiq on a RabbitMQ of the bench's own, and that broker's limit.

Both sides log at their default level to a file. Ours has no setting that the README's first example lacks, only the URL.
"""

from collections.abc import Callable
from functools import partial

from bench import rounds, trial
from bench.against import promises
from bench.against.measurement import Measurement, Selection, broken, measure
from bench.drills.verdicts import show
from bench.interop import read_by_celery
from bench.media import Servers, servers
from bench.raw import load, messages
from bench.raw.load import Load
from bench.systems import CELERY, DRAMATIQ, LEVERET, System, prepare, variant

PROCESSES = 2
OURS = variant(LEVERET, LEVERET.name, tasks=100_000, options={"results": "0"})
STORING = variant(LEVERET, LEVERET.name, tasks=60_000)
STORING_REDIS = variant(STORING, LEVERET.name, options={"results": "redis"})
PREFORK = variant(CELERY, "celery")
SOLO = variant(CELERY, "celery, tuned solo", options={"tuned": "1", "pool": "solo", "processes": "1"})
CONFIRMING = variant(CELERY, "celery, confirms", tasks=2_000, options={"confirms": "1"})
RPC = variant(CELERY, "celery, rpc", options={"results": "rpc"})
REDIS = variant(CELERY, "celery, redis", options={"results": "redis"})


def run(selection: Selection) -> list[str]:
    """Starts the servers, measures, and holds what was found against what is promised; answers what broke."""
    prepare((LEVERET, CELERY, DRAMATIQ))
    with servers() as running:
        ours = messages.speaks_amqp()
        if not ours:
            print("Leveret has no driver for amqp:// here: only the peers and the broker's limit are measured")
        generator = load.build(running, messages.ours(running))
        content: dict[str, object] = rounds.written("rabbitmq") if selection.only else {}
        content |= {"decoded_by_celery": read_by_celery(generator, 100), "queue_type": generator.sent.queue_type}
        bench = Bench(running, generator, ours, selection.peers)
        measure("rabbitmq", measurements(bench), selection, content)
    content["figures"] = show(promises.rabbitmq(content)) if ours else []
    rounds.write("rabbitmq", content)
    return broken(content)


class Bench:
    """Makes the entries of a measurement: ours where it can, the peers that are asked for, and the limit."""

    def __init__(self, running: Servers, generator: Load, ours: bool, peers: tuple[str, ...]) -> None:
        self._running, self._ours, self._peers = running, ours, peers
        self.generator = generator

    def entries(self, run: trial.Trial, *systems: System, **limit: Callable[[], trial.Figures]) -> rounds.Entries:
        chosen = {one.name: partial(run, one, self._running) for one in systems if self._chosen(one)}
        return {**chosen, **{f"limit: {name.replace('_', ' ')}": measured for name, measured in limit.items()}}

    def _chosen(self, system: System) -> bool:
        if system.peer == LEVERET.peer:
            return self._ours
        return not self._peers or system.peer in self._peers


def measurements(bench: Bench) -> list[Measurement]:
    limit = bench.generator
    window = load.BULK_WINDOW
    consume = partial(limit.consume, 100_000, PROCESSES)
    windowed, singly = partial(limit.publish, 50_000, window), partial(limit.publish, 3_000, 1)
    shared = partial(limit.publish, 16_000, load.SENDERS)
    coroutines = partial(trial.send_at_once, how="coroutines")
    lines = {
        "drain": bench.entries(trial.drain, OURS, PREFORK, SOLO, DRAMATIQ, consume=consume),
        "drain, results over rpc": bench.entries(trial.drain, STORING, RPC),
        "drain, results in Redis": bench.entries(trial.drain, STORING_REDIS, REDIS),
        "send in bulk": bench.entries(trial.send_bulk, OURS, PREFORK, CONFIRMING, DRAMATIQ, publish=windowed),
        "send one by one": bench.entries(trial.send_one, OURS, PREFORK, CONFIRMING, DRAMATIQ, publish=singly),
        "send from 16 threads": bench.entries(trial.send_at_once, OURS, PREFORK, DRAMATIQ, publish=shared),
        "send from 16 coroutines": bench.entries(coroutines, OURS, publish=shared),
    }
    trips = bench.entries(trial.round_trip, STORING, RPC)
    return [
        *(Measurement(name=name, entries=entries) for name, entries in lines.items()),
        Measurement(name="round trip", entries=trips, figure="p50_ms", slow=True),
        Measurement(name="limits", entries=limits(limit), slow=True),
    ]


def limits(limit: Load) -> rounds.Entries:
    """Of either kind of queue, with the messages that our client sends."""
    return {
        f"{name}, {kind}": partial(measured, queue_type=kind)
        for kind in ("quorum", "classic")
        for name, measured in {
            "publish in bulk": partial(limit.publish, 50_000, load.BULK_WINDOW),
            "publish one by one": partial(limit.publish, 3_000, 1),
            "publish, 16 at once": partial(limit.publish, 16_000, load.SENDERS),
            "consume": partial(limit.consume, 100_000, 1),
            "consume, 2 connections": partial(limit.consume, 100_000, 2),
            "publish and consume": partial(limit.both, 50_000),
        }.items()
    }
