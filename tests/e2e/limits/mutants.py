"""What is broken on purpose to prove that the drills on limits see it; see tests/e2e/mutants.py."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from leveret.client.limiting.uniqueness import Asking
from leveret.logic.limiting import bounds
from leveret.logic.limiting.bounds import Bounds
from leveret.model.delivery import Verdict
from leveret.model.limiting.declared import Rate
from leveret.model.limiting.gate import Bound, BreakerBound, BudgetBound, Grant, RateBound, SlotBound, Wish
from leveret.model.message import Message
from leveret.worker.limiting.exits import Exits, Leaving
from leveret.worker.limiting.gatekeeper import Gatekeeper

Patch = Callable[[Any, str, Any], None]


def hurried(patch: Patch) -> None:
    """A rate is kept a quarter too fast."""
    right = bounds._rate

    def wrong(limit: Rate, key: str) -> RateBound:
        made = right(limit, key)
        return replace(made, interval=made.interval / 1.25)

    patch(bounds, "_rate", wrong)


def lazy(patch: Patch) -> None:
    """A rate is kept a tenth too slow."""
    right = bounds._rate

    def wrong(limit: Rate, key: str) -> RateBound:
        made = right(limit, key)
        return replace(made, interval=made.interval * 1.1)

    patch(bounds, "_rate", wrong)


def fleeting(patch: Patch) -> None:
    """Who was let in is taken off the list at once."""
    right = Gatekeeper.admit

    async def wrong(self: Gatekeeper, jobs: Any) -> Any:
        passed = await right(self, jobs)
        self.returned(passed)
        self._settled([job.receipt for job in passed])
        return passed

    patch(Gatekeeper, "admit", wrong)


def clinging(patch: Patch) -> None:
    """Nobody is told who has left: slots are free when their process ends."""

    def wrong(self: Exits, *leaving: Leaving) -> None:
        return None

    patch(Exits, "add", wrong)


def presumptuous(patch: Patch) -> None:
    """Whoever sends a unique task believes that the key is his."""
    right = Asking.heard

    def wrong(self: Asking, wishes: tuple[Wish, ...], grants: Iterable[Grant]) -> None:
        right(self, wishes, [Grant(id=wish.id, won=True) for wish in wishes])

    patch(Asking, "heard", wrong)


def _without(patch: Patch, kind: type) -> None:
    right = Bounds.of

    def wrong(self: Bounds, message: Message) -> tuple[Bound, ...]:
        return tuple(bound for bound in right(self, message) if not isinstance(bound, kind))

    patch(Bounds, "of", wrong)


def unlimited(patch: Patch) -> None:
    """Nobody asks about slots."""
    _without(patch, SlotBound)


def heedless(patch: Patch) -> None:
    """Nobody asks a breaker."""
    _without(patch, BreakerBound)


def spendthrift(patch: Patch) -> None:
    """Nobody asks about budgets."""
    _without(patch, BudgetBound)


def dropping(patch: Patch) -> None:
    """Who is to wait is done with."""
    right = Gatekeeper._waits

    def wrong(self: Gatekeeper, *given: Any) -> Any:
        return replace(right(self, *given), verdict=Verdict.ACK)

    patch(Gatekeeper, "_waits", wrong)


LIMITS: dict[str, Callable[[Patch], None]] = {
    f"limits-{mutant.__name__}": mutant
    for mutant in (
        hurried, lazy, fleeting, clinging, presumptuous, unlimited, heedless, spendthrift, dropping,
    )
}  # fmt: skip
