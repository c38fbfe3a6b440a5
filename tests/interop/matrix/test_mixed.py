"""One queue, consumed by a Celery worker and a Leveret worker at once: each runs its share, and nothing is lost.

CI sends a tenth; LEVERET_CHAOS=full sends 5,000 in each order of starting and writes bench/results/interop.json.
"""

import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from tests.interop.sides.processes import ROOT, until
from tests.interop.sides.sites import Site

pytestmark = pytest.mark.chaos

FULL = os.environ.get("LEVERET_CHAOS") == "full"
TASKS = 5000 if FULL else 500
LEAST = TASKS // 5
SEED = int(os.environ.get("LEVERET_SEED", "1"))
QUEUE = "both"
SECONDS = 0.01
"""Of each task: long enough that slots share the queue, not whoever reads faster."""
ORDERS = [("celery", "leveret"), ("leveret", "celery")]


@dataclass(frozen=True)
class Call:
    number: int
    sender: str
    retries: int
    countdown: float | None


def plan(dice: random.Random) -> list[Call]:
    """Both sides send; a tenth is retried, to be run by whoever comes first; a tenth is sent ahead of its time."""
    return [
        Call(
            number=number,
            sender=dice.choice(("celery", "leveret")),
            retries=dice.choice((1, 2)) if dice.random() < 0.1 else 0,
            countdown=round(dice.uniform(0.1, 3), 2) if dice.random() < 0.1 else None,
        )
        for number in range(TASKS)
    ]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("order", ORDERS, ids="-then-".join)
def test_both_run_their_share_and_nothing_is_lost(order: tuple[str, str], site: Site) -> None:
    calls = plan(random.Random(f"{SEED} {order}"))
    for side in order:
        site.start(side, side, ["-P", "prefork", "-c", "2", "-Q", QUEUE])
        site.until_run_by(side, QUEUE)

    began = time.time()
    results = [(call, send(site, call)) for call in calls]
    sent = time.time()
    values = {call.number: (call, result.get(timeout=120)) for call, result in results}
    notes = [note for note in site.notes.all() if "shared" in note]

    runs = Counter((note["shared"], note["tries"]) for note in notes)
    assert runs == Counter((call.number, tried) for call in calls for tried in range(call.retries + 1))
    assert all(value == [call.number, value[1], call.retries] for call, value in values.values())
    ended_by = Counter(side for _, (_, side, _) in values.values())
    assert ended_by["celery"] >= LEAST and ended_by["leveret"] >= LEAST, ended_by
    until(lambda: site.waiting(QUEUE) == 0)
    if FULL:
        name = " then ".join(order) + ("" if site.kind == "rabbitmq" else f" on {site.kind}")
        report(name, notes, {"ended by": dict(ended_by), "sending": sent - began, "total": time.time() - began})


@pytest.mark.skipif(not FULL, reason="waits 30 s; LEVERET_CHAOS=full")
def test_a_task_that_only_celery_knows_gets_there_in_the_end(site: Site) -> None:
    for side in ("leveret", "celery"):
        site.start(side, side, ["-P", "solo", "-c", "1", "-Q", QUEUE])
        site.until_run_by(side, QUEUE)

    results = [site.client("celery").send_task("interop.only.celery", queue=QUEUE) for _ in range(20)]

    assert [result.get(timeout=120) for result in results] == ["celery"] * 20
    assert any("unregistered task" in worker.log for worker in site.workers())


def send(site: Site, call: Call) -> Any:
    options = {} if call.countdown is None else {"countdown": call.countdown}
    client = site.client(call.sender)
    return client.send_task("interop.shared", (call.number, SECONDS, call.retries), queue=QUEUE, **options)


def report(name: str, notes: list[dict[str, Any]], figures: dict[str, Any]) -> None:
    sides: dict[int, list[str]] = {}
    for note in sorted(notes, key=lambda note: note["tries"]):
        sides.setdefault(note["shared"], []).append(note["side"])
    record(
        name,
        {
            "seed": SEED,
            "tasks": TASKS,
            "runs": dict(Counter(note["side"] for note in notes)),
            "retried": sum(1 for ran in sides.values() if len(ran) > 1),
            "retried across sides": sum(1 for ran in sides.values() if len(set(ran)) > 1),
            "lost": 0,
            **{name: round(value, 2) if isinstance(value, float) else value for name, value in figures.items()},
        },
    )


def record(name: str, figures: dict[str, Any]) -> None:
    """Into the one file of the drill, beside what its other tests wrote."""
    path = ROOT / "bench" / "results" / "interop.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known[name] = figures
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")
