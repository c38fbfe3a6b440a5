"""What stands in the queues, and how many nodes consume each: asked of the broker by whoever shows it."""

import asyncio
from collections import Counter
from typing import NamedTuple

from leveret.errors import LeveretError
from leveret.model.delivery import QueueCounts
from leveret.ports.admin import Admin
from leveret.ports.leases import Leases

BROKER_SECONDS = 3.0
"""How long the broker may take before the rest is shown without."""


class Seen(NamedTuple):
    counts: tuple[QueueCounts, ...]
    served: Counter[str]
    """Live nodes by queue."""


async def look(admin: Admin, leases: Leases) -> Seen | None:
    """None: the broker did not answer."""
    try:
        async with asyncio.timeout(BROKER_SECONDS):
            nodes, counts = await leases.nodes(), await admin.counts()
    except (LeveretError, OSError, TimeoutError):
        return None
    return Seen(tuple(counts), Counter(queue for node in nodes for queue in node.queues))


def age(count: QueueCounts, now: float) -> float:
    """Seconds the oldest ready message has waited; 0: none is ready."""
    return max(0.0, now - count.oldest) if count.ready and count.oldest is not None else 0.0


def consumers(count: QueueCounts, served: Counter[str]) -> int:
    return served.get(count.queue, 0) if count.consumers is None else count.consumers
