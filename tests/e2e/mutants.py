"""`python -m tests.e2e.mutants NAME worker ...`: `leveret` with one thing broken, to prove that a drill sees it.

The broken thing is in the supervisor and in the worker processes forked from it; `mutate` breaks it in any process.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from tests.e2e.limits.mutants import LIMITS
from tests.e2e.redis.mutants import REDIS

from leveret.brokers.amqp import driver, settling
from leveret.brokers.amqp.intake import Intake
from leveret.brokers.redis import claims
from leveret.cli.main import main
from leveret.links.amqp.address import Address, Failover
from leveret.links.amqp.confirms import Batch
from leveret.links.amqp.letters import Letter
from leveret.links.amqp.publisher import Lines, Publisher, written
from leveret.links.amqp.replybox import ReplyBox
from leveret.links.amqp.sender import Sender, Wire
from leveret.links.redis.names import Names
from leveret.links.redis.scripts import Verb
from leveret.links.sql.backend import SqlBackend
from leveret.logic import codec
from leveret.model.node import Reaping
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.supervisor import place
from leveret.supervisor.deaths.estate import Death, Estate
from leveret.supervisor.slots import PageView
from leveret.worker import persist
from leveret.worker.settler import Settler

Patch = Callable[[Any, str, Any], None]


def uncharged(patch: Patch) -> None:
    """What a dead child held goes back, but nobody is charged: a killer runs for ever."""
    right = place.settle_estate

    def wrong(death: Death, page: PageView) -> Estate | None:
        estate = right(death, page)
        return estate and Estate(Reaping(session=estate.reaping.session), None, estate.ran)

    patch(place, "settle_estate", wrong)


def unreaped(patch: Patch) -> None:
    """What a dead child held is left to the end of the lease."""

    async def nothing(*_: Any) -> None:
        return None

    patch(place.Place, "_settle", nothing)


def everybody(patch: Patch) -> None:
    """Everything a dead child held is charged, not only what ran."""
    right = place.settle_estate

    def wrong(death: Death, page: PageView) -> Estate | None:
        estate = right(death, page)
        return estate and Estate(Reaping(session=estate.reaping.session, suspect_others=True), None, estate.ran)

    patch(place, "settle_estate", wrong)


def sluggish(patch: Patch) -> None:
    """A lost broker is asked again after eight seconds."""
    patch(persist, "reconnect_delay", lambda failures, jitter: 8.0)


def unconfirmed(patch: Patch) -> None:
    """A message that was written counts as sent."""

    def write(self: Sender, wire: Wire, letters: list[Letter], deadline: float, timeout: float) -> None:
        data = written(letters, wire.channel, wire.connection.frame_max)
        wire.connection.send(data, deadline, lambda: wire.confirms.add(Batch(letters, lambda: None)))

    async def write_on_loop(self: Publisher, lines: Lines, letters: list[Letter]) -> None:
        lines.confirms.add(Batch(letters, lambda: None))
        lines.connection.write(written(letters, lines.channel, lines.connection.frame_max))

    patch(Sender, "_deliver", write)
    patch(Publisher, "_deliver", write_on_loop)


def unfenced(patch: Patch) -> None:
    """The store takes a second outcome for the first."""
    right = SqlBackend.store

    async def wrong(self: SqlBackend, records: tuple[Record, ...]) -> tuple[bool, ...]:
        await right(self, records)
        return (True,) * len(records)

    patch(SqlBackend, "store", wrong)


def forgetful(patch: Patch) -> None:
    """Who reconnects waits at another queue than the one it gave as its address."""
    right, asked = ReplyBox.declare, set()

    def wrong(self: ReplyBox) -> Any:
        if id(self) in asked:
            self._name = f"{self._name}."
        asked.add(id(self))
        return right(self)

    patch(ReplyBox, "declare", wrong)


def faithful(patch: Patch) -> None:
    """A broker that is gone is asked again, and no other."""
    patch(Failover, "next", lambda self: None)


def behind(patch: Patch) -> None:
    """Acknowledgements wait behind results."""
    patch(Settler, "_settle_bare", lambda self, batch: batch)


def deaf(patch: Patch) -> None:
    """Nobody hears that a queue was deleted, nor looks."""

    async def nothing(*_: Any) -> None:
        return None

    patch(Intake, "cancelled", lambda self, consumer: None)
    patch(Intake, "_watch", nothing)


def mute(patch: Patch) -> None:
    """No heartbeats are asked for."""
    right = driver.addresses

    def wrong(url: Any, options: DriverOptions, name: str) -> tuple[Address, ...]:
        return tuple(_without_heartbeat(right(url, options, name)))

    patch(driver, "addresses", wrong)


def _without_heartbeat(addresses: Iterable[Address]) -> Iterable[Address]:
    from msgspec.structs import replace

    return [replace(one, credentials=replace(one.credentials, heartbeat=0)) for one in addresses]


def plain(patch: Patch) -> None:
    """What goes back goes back, however often its queue has counted it."""
    patch(settling, "fresh_copy", lambda message, queue: None)


def heedless(patch: Patch) -> None:
    """On Redis, what is given back, or was held by a session that ended, is thrown away."""

    def wrong(names: Names, back: Iterable[claims.Back]) -> Verb[int]:
        tickets = [one.ticket for one in back]
        if tickets:
            yield [("HDEL", names.held(ticket.session), ticket.field) for ticket in tickets]
        return len(tickets)

    patch(claims, "give_back", wrong)


def laneless(patch: Patch) -> None:
    """Nobody tells the broker whose turn a message is."""
    patch(codec, "lane_of", lambda message: "")


MUTANTS: dict[str, Callable[[Patch], None]] = {
    mutant.__name__: mutant
    for mutant in (
        uncharged, unreaped, everybody, sluggish, unconfirmed, unfenced, forgetful, faithful, behind, deaf, mute, plain,
        heedless, laneless,
    )
} | REDIS | LIMITS  # fmt: skip


def mutate(name: str, patch: Patch = setattr) -> None:
    """Break one thing in this process; no name, nothing. A test hands in its monkeypatch's `setattr`."""
    if name:
        MUTANTS[name](patch)


if __name__ == "__main__":
    mutate(sys.argv.pop(1))
    sys.exit(main())
