"""One look at the store for many results."""

from collections.abc import Iterable, Iterator
from typing import Any

from leveret.client.results.view import ResultView

AT_ONCE = 1000
"""Ids in one question."""


def look(results: Iterable[Any], least: int = 2) -> None:
    """Ask for all whose end is not known yet; afterwards each knows what the store knew. Fewer than `least` are not
    worth a question of their own."""
    for client, some in _asked(results, least):
        for result, record in zip(some, client.backend().get([one.id for one in some]), strict=True):
            result.keep(record)


async def looks(results: Iterable[Any], least: int = 2) -> None:
    """As `look`, on the running loop."""
    for client, some in _asked(results, least):
        records = await client.backend_of_loop().get([one.id for one in some])
        for result, record in zip(some, records, strict=True):
            result.keep(record)


def _asked(results: Iterable[Any], least: int) -> Iterator[tuple[Any, list[ResultView]]]:
    """Those of each client, so many at a time."""
    by_client: dict[int, list[ResultView]] = {}
    for result in results:
        if isinstance(result, ResultView) and not result.ready_known() and not result.ignored:
            if result.client.parts.backend is None:
                continue
            by_client.setdefault(id(result.client), []).append(result)
    for some in by_client.values():
        for start in range(0, len(some) if len(some) >= least else 0, AT_ONCE):
            yield some[0].client, some[start : start + AT_ONCE]
