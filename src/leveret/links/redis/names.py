"""What the broker's keys are called: Celery's own lists, and ours under `leveret:` (docs/reference/redis-keys.md).

A list is named `queue`, or `queue\\x06\\x16step` (`kombu/transport/redis.py:_q_for_pri`). Suspects wait apart, under a
queue name of their own that nobody else can have; to the scripts it is a queue like others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from leveret.errors import ImproperlyConfigured
from leveret.model.delivery import Posting, Receipt, SessionId

SEPARATOR = "\x06\x16"
LANE = SEPARATOR + ":"
"""Between a list and the name of one of its lanes (`scripts/lanes.lua`)."""
KOMBU_STEPS = (0, 3, 6, 9)
URGENT = 9
"""Celery's highest priority; larger numbers count as it."""
OURS = "leveret:"
SUSPECTS = "leveret:suspects:"
ORDERS = ("round_robin", "priority", "sorted")
"""Kombu's words for the order in which queues are looked into."""
_RESERVED = (OURS, "unacked", "_kombu.", "celery-task-meta-", "celery-taskset-meta-")


class Ticket(NamedTuple):
    """What a receipt says: whose hand-over, its mark, and the list it came from.

    The mark is its number among all hand-overs and the number of the session's claim, `12-3`. The first alone would do,
    but for a failover: the new master may not know the last hand-overs and count from there again, and whoever still
    holds one of those must not settle another's.
    """

    session: str
    mark: str
    list: str

    @property
    def field(self) -> str:
        """Its name in the session's hash."""
        return f"{self.mark} {self.list}"

    @property
    def number(self) -> int:
        number = self.mark.partition("-")[0]
        return int(number) if number.isdigit() else 0


def write_receipt(session: str, mark: str, list: str) -> Receipt:
    return Receipt(f"{session} {mark} {list}")


def read_receipt(receipt: Receipt) -> Ticket:
    session, _, rest = receipt.partition(" ")
    mark, _, name = rest.partition(" ")
    return Ticket(session, mark, name)


def read_field(session: SessionId, field: bytes) -> Ticket:
    mark, _, name = field.decode().partition(" ")
    return Ticket(session, mark, name)


class Names:
    """The names under one prefix. `high_first`: 9 is the most urgent priority and has the first step; on the wire,
    where 0 comes first, priorities are turned round."""

    def __init__(self, prefix: str, *, high_first: bool, transport: Mapping[str, Any]) -> None:
        self.prefix = prefix
        self.high_first = high_first
        steps = transport.get("priority_steps")
        self._steps = _checked_steps(steps) if steps else tuple(range(URGENT + 1)) if high_first else KOMBU_STEPS
        self.suffixes = tuple(self._suffix(step) for step in self._steps)
        """Of a queue's lists, the most urgent first."""
        self._order = _checked_order(transport.get("queue_order_strategy") or "round_robin")
        self._by_priority = tuple(self._suffix(self._step(priority)) for priority in range(URGENT + 1))
        self._read = tuple((URGENT - wire if high_first else wire) or None for wire in range(URGENT + 1))

    def turned(self, queues: Sequence[str], number: int) -> Sequence[str]:
        """As `claim.lua` has to be told of them, which begins with another one at each claim: so that a busy queue does
        not keep the others waiting. `queue_order_strategy` may want the first one first, always."""
        if self._order == "round_robin":
            return queues
        ordered = sorted(queues) if self._order == "sorted" else queues
        return [ordered[(place - number) % len(ordered)] for place in range(len(ordered))]

    def list(self, queue: str, priority: int) -> str:
        """The list of a message, by the priority on the wire."""
        return queue + self._by_priority[priority]

    def place(self, posting: Posting, wire: int) -> str:
        """The list of a posting, or of its lane there."""
        own = posting.queue + self._by_priority[wire]
        return f"{own}{LANE}{posting.lane}" if posting.lane else own

    def on_wire(self, priority: int) -> int:
        """A posting's priority as the list's step has it: 0 is claimed first."""
        capped = 0 if priority < 0 else min(priority, URGENT)
        return URGENT - capped if self.high_first else capped

    def from_wire(self, priority: int) -> int | None:
        """As a delivery tells it; None: the usual one."""
        return self._read[0 if priority < 0 else min(priority, URGENT)]

    def lists(self, queue: str) -> tuple[str, ...]:
        """All lists of a queue but that of its suspects."""
        return tuple(queue + suffix for suffix in self.suffixes)

    def key(self, name: str) -> str:
        return self.prefix + name

    def held(self, session: str) -> str:
        return f"{self.prefix}leveret:held:{session}"

    def _step(self, priority: int) -> int:
        return max((step for step in self._steps if step <= priority), default=self._steps[0])

    @staticmethod
    def _suffix(step: int) -> str:
        return f"{SEPARATOR}{step}" if step else ""


def queue_of(list: str) -> str:
    """The queue of a list, whether its suspects or not."""
    return list.removeprefix(SUSPECTS).partition(SEPARATOR)[0]


def without_lane(list: str) -> str:
    """The list of a lane."""
    return list.partition(LANE)[0]


def suspects_of(queue: str) -> str:
    return SUSPECTS + queue


def is_suspect(list: str) -> bool:
    return list.startswith(SUSPECTS)


def checked(queue: str) -> str:
    """Raises for a queue whose key would be one of ours, of kombu's or of the results."""
    if queue.startswith(_RESERVED) or SEPARATOR in queue:
        raise ImproperlyConfigured(f"queue {queue!r}: on Redis no queue may be called {', '.join(_RESERVED)}...")
    return queue


def _checked_steps(given: Any) -> tuple[int, ...]:
    try:
        steps = tuple(sorted({int(step) for step in given}))
    except (TypeError, ValueError):
        steps = ()
    if not steps or not all(0 <= step <= URGENT for step in steps):
        raise ImproperlyConfigured(
            f"broker_transport_options: priority_steps must be numbers from 0 to 9, not {given!r}"
        )
    return steps


def _checked_order(given: Any) -> str:
    if given not in ORDERS:
        raise ImproperlyConfigured(
            f"broker_transport_options: queue_order_strategy must be one of {', '.join(ORDERS)}, not {given!r}"
        )
    return str(given)
