"""Which postings may be sent a second time: those this process sent lately.

An index over the ids of all waiting messages would cost 5-8 us a message with a long backlog, and the outcome of a
commit is always known here. So only the
sender's own memory tells that a message may be a resend; then it is looked for.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from leveret.model.delivery import Posting

REMEMBERED = 2000


class Resends:
    """Touched by whoever publishes; a race between threads costs no more than a missed or needless look."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._known: set[str] = set()

    def doubtful(self, postings: Iterable[Posting]) -> frozenset[str]:
        known = self._known
        return frozenset([posting.id for posting in postings if posting.id in known])

    def remember(self, postings: Sequence[Posting]) -> None:
        for posting in postings[-REMEMBERED:]:
            if posting.id not in self._known:
                self._known.add(posting.id)
                self._order.append(posting.id)
        while len(self._order) > REMEMBERED:
            self._known.discard(self._order.popleft())
