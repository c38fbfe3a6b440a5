"""`python -m tests.e2e.mutants NAME worker ...`: `leveret` with one thing broken, to prove that a drill sees it.

The broken thing is in the supervisor and in the worker processes forked from it; `mutate` breaks it in any process.
"""

import sys
from collections.abc import Callable
from typing import Any

from leveret.cli.main import main
from leveret.model.node import Reaping
from leveret.supervisor import place
from leveret.supervisor.deaths.estate import Death, Estate
from leveret.supervisor.slots import PageView


def uncharged() -> None:
    """What a dead child held goes back, but nobody is charged: a killer runs for ever."""
    right = place.settle_estate

    def wrong(death: Death, page: PageView) -> Estate | None:
        estate = right(death, page)
        return estate and Estate(Reaping(session=estate.reaping.session), None, estate.ran)

    place.settle_estate = wrong


def unreaped() -> None:
    """What a dead child held is left to the end of the lease."""

    async def nothing(*_: Any) -> None:
        return None

    place.Place._settle = nothing  # type: ignore[method-assign] # that is the mutation


def everybody() -> None:
    """Everything a dead child held is charged, not only what ran."""
    right = place.settle_estate

    def wrong(death: Death, page: PageView) -> Estate | None:
        estate = right(death, page)
        return estate and Estate(Reaping(session=estate.reaping.session, suspect_others=True), None, estate.ran)

    place.settle_estate = wrong


MUTANTS: dict[str, Callable[[], None]] = {"uncharged": uncharged, "unreaped": unreaped, "everybody": everybody}


def mutate(name: str) -> None:
    """Break one thing in this process; no name, nothing."""
    if name:
        MUTANTS[name]()


if __name__ == "__main__":
    mutate(sys.argv.pop(1))
    sys.exit(main())
