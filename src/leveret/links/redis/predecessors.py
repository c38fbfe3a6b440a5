"""Who had a node's name on its machine before it, and is gone."""

from collections.abc import Callable

import msgspec

from leveret.links.alive import lives
from leveret.links.redis.scripts import Verb, good
from leveret.model.node import Node

_READ_NODE: Callable[[bytes], Node] = msgspec.json.Decoder(Node).decode


def gone(fleet: str, node: Node, lease_seconds: float) -> Verb[list[Node]]:
    """Its predecessors whose process is no more. `fleet`: what stands before the names of the keys
    that hold nodes and leases."""
    answers = yield [("HGETALL", f"{fleet}nodes")]
    others = [
        other
        for other in map(_READ_NODE, good(answers[0]).values())
        if (other.name, other.boot) == (node.name, node.boot) and other.incarnation != node.incarnation
    ]
    if not others:
        return []
    # ZSCORE, not ZMSCORE, which Redis 6.0 does not know.
    scores = yield [("ZSCORE", f"{fleet}leases", other.incarnation) for other in others]
    return [
        other
        for other, score in zip(others, map(good, scores), strict=True)
        if not lives(node, other.pid, float(score or 0) - lease_seconds)
    ]
