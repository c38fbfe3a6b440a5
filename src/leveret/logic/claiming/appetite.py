"""How much to claim where what is claimed needs no slot: paused, expired or revoked tasks, calls that wait for a batch.

A slot's credit is for what runs; with it alone such messages would come one by one, and hold up what stands behind
them. So it doubles for as long as nothing of a claim needs a slot, and ends with the first that does.
"""

MOST = 200


class Appetite:
    """Owned by the I/O thread."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._amount = 0
        self.room = most
        """For what needs no slot."""

    def took(self, claimed: int, begun: int) -> None:
        """A claim brought so many, of which so many need a slot."""
        if begun:
            self._amount = 0
        elif claimed:
            self._amount = min(max(2 * claimed, self._amount), self._most)

    @property
    def growing(self) -> bool:
        """Whether claims are for more than slots can begin."""
        return self._amount > 0

    def wanted(self, credit: int) -> int:
        """How much to claim where the slots ask for `credit`."""
        return max(credit, min(self._amount, self.room)) if credit else 0

    def rest(self) -> None:
        self._amount = 0
