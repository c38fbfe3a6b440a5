"""Having nodes hear of what is revoked, and claims find it; many at once."""

from collections.abc import Iterable, Iterator
from typing import Any

from leveret.client.client import Client
from leveret.client.results.view import ResultView

SIGNAL = "SIGTERM"


def author() -> str:
    # Imported here: most programs never revoke, and declaring tasks should stay quick.
    from leveret.client.control.author import author

    return author()


def tell(client: Client, ids: tuple[str, ...], terminate: bool, signal: str | None) -> None:
    """Where no nodes can be told (an app that runs in place) the stored outcomes are all there is."""
    if client.parts.tell_nodes is not None and ids:
        client.parts.tell_nodes(ids, terminate, signal or SIGNAL)


async def atell(client: Client, ids: tuple[str, ...], terminate: bool, signal: str | None) -> None:
    if client.parts.atell_nodes is not None and ids:
        await client.parts.atell_nodes(ids, terminate, signal or SIGNAL)


def parted(results: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """Results of one call each, and the others (groups, eager ones)."""
    single, others = list[Any](), list[Any]()
    for result in results:
        (single if isinstance(result, ResultView) and hasattr(result, "end_unbegun") else others).append(result)
    return single, others


def by_client(results: Iterable[ResultView]) -> Iterator[tuple[Client, tuple[str, ...]]]:
    found: dict[int, tuple[Client, list[str]]] = {}
    for result in results:
        found.setdefault(id(result.client), (result.client, []))[1].append(result.id)
    for client, ids in found.values():
        yield client, tuple(ids)
