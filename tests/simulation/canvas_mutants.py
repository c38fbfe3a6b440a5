"""Bugs that chords could have, planted one at a time into the real parts. The workflows must show each."""

from collections import Counter
from typing import Any

import msgspec

from leveret.logic.canvas import joins
from leveret.logic.delivery import Skip
from leveret.logic.following import Following
from leveret.logic.ids import derive
from leveret.model.settlement import ADDED, Joined
from leveret.testing.simulation.server import WatchedRecords, WatchedServer
from leveret.testing.simulation.variant import Variant
from leveret.worker.steps import FourSteps

# seat lost in a replay


def without_seats(admit):
    """A worker died between storing its outcome and taking the seat: the next one repeats all but the seat."""

    def mutant(*facts):
        admission = admit(*facts)
        if isinstance(admission, Skip):
            return Skip(msgspec.structs.replace(admission.settlement, seat=None))
        return admission

    return mutant


# seat counted twice


class CountedSeats(WatchedRecords):
    """A join is complete after as many arrivals as it has seats, whoever arrived."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._arrivals = Counter()

    def arrive(self, seat, now):
        joined = super().arrive(seat, now)
        self._arrivals[seat.join] += not seat.failed
        if joined.complete or seat.failed or self._arrivals[seat.join] < seat.size:
            return joined
        values = self._joins[seat.join].values
        return Joined(join=seat.join, complete=True, values=tuple(values[i] for i in sorted(values)))


class ServerThatCounts(WatchedServer):
    records_class = CountedSeats


# error callbacks of a body by its members


def by_parent(self, message, error, now):
    """Each member that fails calls them: their ids are computed from the member's."""
    follow = HONEST_FAILURE(self, message, error, now)
    return tuple(msgspec.structs.replace(one, id=derive(str(message.parent_id), one.id)) for one in follow)


HONEST_FAILURE = Following.failure

# a failed member takes no seat


def no_failed_seat(message, error, rules, now):
    return None


# acknowledged before the body is out


async def acknowledge_first(self, commitments, *, settled=False):
    if settled:
        return await HONEST_STEPS(self, commitments, settled=True)
    last = tuple(msgspec.structs.replace(one, record=None, follow=(), also=(), seat=None) for one in commitments)
    answers = await self._persist("settle", lambda: self._broker.settle(last))
    await HONEST_STEPS(self, commitments, settled=True)
    return answers


HONEST_STEPS = FourSteps.commit

# added members are not counted, or counted by each run of the task that adds them


class Forgetful(WatchedRecords):
    """Nobody is told of a member that was added; when it comes it fills another's place."""

    def grow(self, addition):
        return True

    def arrive(self, seat, now):
        if seat.index == ADDED:
            seat = msgspec.structs.replace(seat, index=ADDED + 1)
        return super().arrive(seat, now)


class ServerThatForgets(WatchedServer):
    records_class = Forgetful


class Recounting(WatchedRecords):
    """Whoever says it again has it counted again."""

    def grow(self, addition):
        if addition.member in self._said and addition.join in self._joins:
            self._joins[addition.join].size += 1
        self._said.add(addition.member)
        return super().grow(addition)

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._said: set[str] = set()


class ServerThatRecounts(WatchedServer):
    records_class = Recounting


MUTANTS = [
    Variant(name="seat lost in a replay", seats=False, admit=without_seats),
    Variant(name="seat counted twice", seats=False, server=ServerThatCounts),
    Variant(name="added member fills a place", seats=False, server=ServerThatForgets),
    Variant(name="added member counted twice", seats=False, server=ServerThatRecounts),
    Variant(name="error callbacks by member", seats=False, patches=((Following, "failure", by_parent),)),
    Variant(name="failed member takes no seat", seats=False, patches=((joins, "failed_seat", no_failed_seat),)),
    Variant(
        name="acknowledged before the body is out", seats=False, patches=((FourSteps, "commit", acknowledge_first),)
    ),
]
