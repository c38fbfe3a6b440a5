"""One message in a hundred is garbage: how much slower is the rest? In full size only: CI says that nothing is lost."""

import json
import random
import statistics
import uuid
from collections.abc import Iterator
from typing import Any

import amqp
import pytest
from tests.interop.matrix.test_mixed import FULL, SEED, record
from tests.interop.sides.garbage import kinds
from tests.interop.sides.sites import RabbitSite

pytestmark = [pytest.mark.chaos, pytest.mark.skipif(not FULL, reason="measures; LEVERET_CHAOS=full")]

ROUNDS = 5
LEAST = 0.9
TASKS = {"of 1 ms": 5_000, "of nothing": 20_000}
"""For tasks that do nothing the figure is written down only: they are no longer than what is done for each."""
LARGEST = 1 << 16
"""Of the garbage, and no bombs: a megabyte costs what a megabyte costs to read, whatever is in it."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", TASKS)
def test_one_per_cent_of_garbage_costs_little(kind: str, site: RabbitSite) -> None:
    dice = random.Random(SEED)
    clean, dirty = [], []
    for number in range(ROUNDS):
        # Interleaved, so that a neighbour's load falls on both.
        clean.append(drain(site, f"clean{number}", kind, []))
        dirty.append(drain(site, f"dirty{number}", kind, list(bad(dice, TASKS[kind] // 100))))

    # The best rounds: those in which no neighbour had a share of the machine.
    ratio = max(dirty) / max(clean)
    record(
        f"one per cent of garbage among tasks {kind}",
        {
            "seed": SEED,
            "tasks": TASKS[kind],
            "rounds": ROUNDS,
            "clean, tasks a second": [round(rate) for rate in clean],
            "with garbage, tasks a second": [round(rate) for rate in dirty],
            "ratio of the best": round(ratio, 3),
            "ratio of the medians": round(statistics.median(dirty) / statistics.median(clean), 3),
        },
    )
    assert ratio >= LEAST or kind == "of nothing"


def drain(site: RabbitSite, queue: str, kind: str, garbage: list[amqp.Message]) -> float:
    """Good tasks a second, from the first to the last, of a worker that finds them all in the queue."""
    seconds = 0.001 if kind == "of 1 ms" else 0.0
    mixed = [*(good(number, queue, seconds) for number in range(TASKS[kind])), *garbage]
    random.Random(queue).shuffle(mixed)
    with site.channel() as channel:
        channel.queue_declare(queue, durable=True, auto_delete=False)
        # The first dead letter of a queue makes this one, which takes longer than a thousand tasks.
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare(f"leveret.dead.{queue}", durable=True, auto_delete=False, arguments=quorum)
        for message in mixed:
            channel.basic_publish(message, routing_key=queue)
    worker = site.start("leveret", queue, ["-P", "prefork", "-c", "2", "-Q", queue, "-l", "ERROR"])
    moments = [note["at"] for note in site.notes.wait(TASKS[kind], timeout=120, tag=queue)]
    worker.stop()
    site.notes.forget()
    return TASKS[kind] / (max(moments) - min(moments))


def good(number: int, queue: str, seconds: float) -> amqp.Message:
    headers = {"task": "interop.work", "id": str(uuid.uuid4()), "ignore_result": True}
    body = json.dumps([[number, seconds], {"tag": queue}, {}])
    return amqp.Message(body, content_type="application/json", application_headers=headers, delivery_mode=2)


def bad(dice: random.Random, count: int) -> Iterator[Any]:
    small = [one for one in kinds().values() if len(one.body) < LARGEST and "bomb" not in one.name]
    return (dice.choice(small).message() for _ in range(count))
