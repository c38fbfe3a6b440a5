"""`python -m bench redis`: Leveret beside Celery, Dramatiq, taskiq and huey on a Redis of the bench's own.

Both sides log at their default level to a file. Ours has no setting that the README's first example lacks, only the URL.
"""

from dataclasses import replace
from functools import partial

from bench import rounds, trial
from bench.against import promises
from bench.against.measurement import Measurement, Selection, broken, measure
from bench.drills.verdicts import show
from bench.media import RedisAlone, redis_alone
from bench.raw import lpush
from bench.systems import CELERY, LEVERET, REDIS_PEERS, System, prepare, variant

STORING = variant(LEVERET, LEVERET.name, tasks=60_000)
IGNORING = variant(LEVERET, LEVERET.name, tasks=100_000, options={"results": "0"})
PREFORK = variant(CELERY, "celery", options={"results": "redis"})
NO_RESULTS = variant(CELERY, "celery", options={"results": "0"})


def run(selection: Selection) -> list[str]:
    """Starts the server, measures, and holds what was found against what is promised; answers what broke."""
    peers = tuple(one for one in (PREFORK, *REDIS_PEERS) if not selection.peers or one.peer in selection.peers)
    prepare((LEVERET, *peers))
    content: dict[str, object] = rounds.written("redis") if selection.only else {}
    with redis_alone() as running:
        measure("redis", measurements(running, peers), selection, content)
    content["figures"] = show(promises.redis(content))
    rounds.write("redis", content)
    return broken(content)


def measurements(running: RedisAlone, peers: tuple[System, ...]) -> list[Measurement]:
    def entries(run: trial.Trial, *systems: System, **options: str) -> rounds.Entries:
        return {one.name: partial(run, one, running, **options) for one in systems}

    ignoring = (IGNORING, *(replace(NO_RESULTS, name=one.name) for one in peers if one.peer == "celery"))
    bulk = (STORING, *(one for one in peers if one.peer != "huey"))
    small = tuple(replace(one, tasks=min(one.tasks, 8_000) // 2) for one in (STORING, *peers))
    limit = partial(lpush.push, running, STORING.tasks)
    lines = [
        Measurement(name="drain", entries=entries(trial.drain, STORING, *peers)),
        Measurement(name="drain, results ignored", entries=entries(trial.drain, *ignoring)),
        Measurement(name="send in bulk", entries={**entries(trial.send_bulk, *bulk), "limit: LPUSH": limit}),
        Measurement(name="send one by one", entries=entries(trial.send_one, STORING, *peers)),
        Measurement(name="send from 8 threads", entries=entries(trial.send_at_once, STORING, senders="8")),
    ]
    trips = entries(trial.round_trip, STORING, *peers)
    large = entries(trial.drain, *small, payload="10000")
    return [
        *lines,
        Measurement(name="round trip", entries=trips, figure="p50_ms", slow=True),
        Measurement(name="drain, 10 kB of JSON", entries=large, slow=True),
    ]
