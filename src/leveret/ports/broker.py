"""Where messages wait. Every verb takes and returns a batch: one message is a tuple of one.

A per-message seam costs 25 us of CPU a task before any I/O, a batch of 100 costs 1 us (docs/adr/0003).
"""

from enum import Enum
from typing import Protocol

from leveret.model.delivery import Claim, Delivery, Posting, Return
from leveret.model.settlement import Commitment, Committed, Stale


class Capability(Enum):
    """What a broker can do beyond the port; the app refuses at start what its broker cannot."""

    DELAY = "delay"
    PRIORITY = "priority"
    DEDUPE = "dedupe"
    LEASE = "lease"
    """It keeps sessions and leases itself; without it a session is a connection, and what one held comes back as
    `redelivered` when that ends."""
    FANOUT = "fanout"
    """What is sent to a fanout exchange reaches whoever listens, without a copy for each queue from the sender."""
    BINDINGS = "bindings"
    """It keeps who is bound to which exchange where others write it too: what the app does not list is looked up there
    when something is sent."""
    COMMIT = "commit"
    EXCHANGES = "exchanges"
    """It routes what is published to an exchange itself: one copy is sent, whatever number of queues it reaches."""
    PLACES = "places"
    """What comes back takes its old place exactly, and several queues are served oldest first."""
    COUNTS = "counts"
    """It knows how many messages are delayed and claimed, and where each is."""
    LANES = "lanes"
    """Within a queue and a priority the lanes of `Posting.lane` take turns, one message each, whoever claims; a message
    that comes back stays in its lane."""


class Broker(Protocol):
    """The worker's face of a broker (asynchronous). `BlockingBroker` is the caller's."""

    capabilities: frozenset[Capability]

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        """Returns when all are durable. Raises `PublishFailed` when none is, `PublishUnknown` when it cannot tell;
        sending the same postings again is then safe."""
        ...

    async def claim(self, claim: Claim) -> tuple[Delivery, ...]:
        """At most `claim.credit` deliveries, most urgent first, then oldest first. Idempotent by (session, number).

        Expired messages are handed over too: `admit` concludes them.
        """
        ...

    async def settle(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        """Acknowledge, release or park each by its verdict (record, seat and follow are for `Commit`)."""
        ...

    async def give_back(self, returns: tuple[Return, ...]) -> None:
        """Unstarted work returns to its old place, uncharged. Receipts that are no longer ours are passed over."""
        ...

    async def bell(self, queues: tuple[str, ...], timeout: float) -> None:
        """Wait until there may be work for this session, at most `timeout` seconds. A hint: it may be wrong."""
        ...

    async def close(self) -> None: ...


class Punctual(Protocol):
    """Declared by a broker that keeps the deadline of a publish itself: a timer for each would cost 5 us."""

    async def publish_within(self, postings: tuple[Posting, ...], timeout: float) -> None:
        """As `Broker.publish`; raises TimeoutError when it is not known after `timeout` seconds."""
        ...


class BlockingBroker(Protocol):
    """The caller's face: runs on the calling thread, has no thread and no loop of its own, survives fork."""

    def publish(self, postings: tuple[Posting, ...], *, timeout: float) -> None:
        """As `Broker.publish`; fails within `timeout` seconds."""
        ...

    def reply_address(self) -> str | None:
        """Where the store rings when an awaited result is stored (goes into `Message.reply_to`)."""
        ...

    def close(self) -> None: ...


class Commit(Protocol):
    """Declared by a driver that is broker and store at once: one transaction for the whole batch."""

    async def commit(self, commitments: tuple[Commitment, ...]) -> tuple[Committed | Stale, ...]:
        """For each: fence and record, seat, follow-ups, then the verdict; all of one commitment or nothing of it.

        `Seat.release` is called with the answer to the arrival, and what it answers belongs to the commitment: records
        (each fenced by itself), follow-ups, further seats."""
        ...

    async def commit_and_claim(
        self, commitments: tuple[Commitment, ...], claim: Claim
    ) -> tuple[tuple[Committed | Stale, ...], tuple[Delivery, ...]]:
        """As `commit`, and then as `Broker.claim`, in the one transaction: what the settled tasks are followed by is
        claimed like everything else in its queue, and nobody is called for what is taken here. Of a session that is
        gone nothing is claimed; its next claim says so."""
        ...


class Severable(Protocol):
    """Declared by a broker whose session is a connection (no `Capability.LEASE`)."""

    async def severed(self) -> None:
        """Return when what this session holds has gone back to the broker with a lost connection."""
        ...
