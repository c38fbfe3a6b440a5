"""Which postings may be sent a second time: those this process sent lately.

An index over the ids of all waiting messages would cost 5-8 us a message with a long backlog, and the outcome of a
commit is always known here. So only the
sender's own memory tells that a message may be a resend; then it is looked for.
"""

from collections import deque
from collections.abc import Sequence

from leveret.model.delivery import Posting

REMEMBERED = 2000
_NONE: frozenset[str] = frozenset()


class Resends:
    """Touched by whoever publishes; a race between threads costs no more than a missed or needless look."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._known: set[str] = set()

    def doubtful(self, postings: Sequence[Posting]) -> frozenset[str]:
        known = self._known
        if len(postings) == 1 and postings[0].id not in known:
            return _NONE
        return frozenset([posting.id for posting in postings if posting.id in known])

    def remember(self, postings: Sequence[Posting]) -> None:
        known, order = self._known, self._order
        for posting in postings[-REMEMBERED:]:
            if posting.id not in known:
                known.add(posting.id)
                order.append(posting.id)
        while len(order) > REMEMBERED:
            known.discard(order.popleft())
