"""One message in a hundred is garbage: how much slower is the rest? In full size only: CI says that nothing is lost."""

import json
import random
import statistics
import uuid
from collections.abc import Iterator
from typing import Any

import amqp
import pytest
from tests.interop.rabbitmq.garbage import kinds
from tests.interop.rabbitmq.lines import Site
from tests.interop.rabbitmq.test_mixed import FULL, SEED, record

pytestmark = [pytest.mark.chaos, pytest.mark.skipif(not FULL, reason="measures; LEVERET_CHAOS=full")]

TASKS, ROUNDS = 20_000, 5
LEAST = 0.9
LARGEST = 1 << 20
"""Of the garbage: a megabyte costs what a megabyte costs, whatever is in it."""


@pytest.mark.timeout(600)
def test_one_per_cent_of_garbage_costs_at_most_a_tenth(site: Site) -> None:
    dice = random.Random(SEED)
    clean, dirty = [], []
    for number in range(ROUNDS):
        # Interleaved, so that a neighbour's load falls on both.
        clean.append(drain(site, f"clean{number}", dice, garbage=0))
        dirty.append(drain(site, f"dirty{number}", dice, garbage=TASKS // 100))

    ratio = statistics.median(dirty) / statistics.median(clean)
    record(
        "one per cent of garbage",
        {
            "seed": SEED,
            "tasks": TASKS,
            "rounds": ROUNDS,
            "clean, tasks a second": [round(rate) for rate in clean],
            "with garbage, tasks a second": [round(rate) for rate in dirty],
            "ratio of the medians": round(ratio, 3),
        },
    )
    assert ratio >= LEAST


def drain(site: Site, queue: str, dice: random.Random, garbage: int) -> float:
    """Good tasks a second, from the first to the last, of a worker that finds them all in the queue."""
    mixed = [*(good(number, queue) for number in range(TASKS)), *bad(dice, garbage)]
    dice.shuffle(mixed)
    with site.channel() as channel:
        channel.queue_declare(queue, durable=True, auto_delete=False)
        # The first dead letter of a queue makes this one, which takes longer than a thousand tasks.
        quorum = {"x-queue-type": "quorum"}
        channel.queue_declare(f"leveret.dead.{queue}", durable=True, auto_delete=False, arguments=quorum)
        for message in mixed:
            channel.basic_publish(message, routing_key=queue)
    worker = site.start("leveret", queue, ["-P", "prefork", "-c", "2", "-Q", queue, "-l", "ERROR"])
    moments = [note["at"] for note in site.notes.wait(TASKS, timeout=120, tag=queue)]
    worker.stop()
    return TASKS / (max(moments) - min(moments))


def good(number: int, queue: str) -> amqp.Message:
    headers = {"task": "interop.note", "id": str(uuid.uuid4()), "ignore_result": True}
    body = json.dumps([[number], {"tag": queue}, {}])
    return amqp.Message(body, content_type="application/json", application_headers=headers, delivery_mode=2)


def bad(dice: random.Random, count: int) -> Iterator[Any]:
    small = [one for one in kinds().values() if len(one.body) < LARGEST]
    return (dice.choice(small).message() for _ in range(count))
