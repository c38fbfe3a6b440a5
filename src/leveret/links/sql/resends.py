"""Which postings may be sent a second time: those this process sent lately.

An index over the ids of all waiting messages would cost 5-8 us a message with a long backlog, and the outcome of a
commit is always known here. So only the
sender's own memory tells that a message may be a resend; then it is looked for.
"""

from collections.abc import Sequence

from leveret.model.delivery import Posting

REMEMBERED = 2000
FEW = 32
"""As many are remembered where they come one by one: strings that are kept fall out of the processor's cache, and new
ones then lie where it is cold (2 of the 30 us that a `delay` adds to the commit)."""
_NONE: frozenset[str] = frozenset()


class Resends:
    """Touched by whoever publishes; a race between threads costs no more than a missed or needless look."""

    def __init__(self) -> None:
        self.known: dict[str, None] = {}
        """Ids in the order in which they were sent."""

    def doubtful(self, postings: Sequence[Posting]) -> frozenset[str]:
        known = self.known
        if len(postings) == 1 and postings[0].id not in known:
            return _NONE
        return frozenset([posting.id for posting in postings if posting.id in known])

    def remember(self, postings: Sequence[Posting]) -> None:
        """Note what was sent; forget the oldest now and then, and then many at once."""
        known, latest = self.known, postings[-REMEMBERED:]
        for posting in latest:
            known[posting.id] = None
        if len(known) > 2 * max(FEW, len(latest)):
            self.forget(max(FEW, len(latest)))

    def forget(self, kept: int) -> None:
        """Forget all but the latest."""
        for old in list(self.known)[:-kept]:
            self.known.pop(old, None)
