"""Members that join while others run (`add_to_chord`): each is counted once, and the body waits for it."""

from typing import Any

from leveret.model.message import Addition
from leveret.model.settlement import ADDED, Joined, Seat
from leveret.testing.conformance.case import case
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import seat

OPEN = Joined(join="j", complete=False)


class TestAddedMembers:
    needs = (Trait.STORE, Trait.CLOSES_JOINS)

    @case
    async def test_the_join_waits_for_it_and_its_value_is_behind_the_headers(self, rig: Rig) -> None:
        store: Any = rig.backend
        assert await store.grow((addition("x", by=1), addition("y", by=1))) == (True, True)

        assert await store.arrive((added("y", b"Y"), member(1, b"b"), member(0, b"a"))) == (OPEN, OPEN, OPEN)

        assert await store.arrive((added("x", b"X"),)) == (whole(b"a", b"b", b"X", b"Y"),)
        assert await store.arrive((member(0, b"late"), added("y", b"late"))) == (whole(b"a", b"b", b"X", b"Y"),) * 2

    @case
    async def test_it_is_counted_once_however_often_it_is_said(self, rig: Rig) -> None:
        store: Any = rig.backend
        for _ in range(3):
            assert await store.grow((addition("x", by=0),)) == (True,)
        await store.arrive((member(1, b"b"), added("x", b"X")))
        assert await store.grow((addition("x", by=0),)) == (True,)

        assert await store.arrive((member(0, b"a"),)) == (whole(b"a", b"b", b"X"),)

    @case
    async def test_one_that_comes_before_it_is_counted_fills_nobodys_place(self, rig: Rig) -> None:
        """Whoever sends it counts it after that, and may die in between."""
        store: Any = rig.backend
        assert await store.arrive((member(1, b"b"), added("x", b"X"))) == (OPEN, OPEN)
        assert await store.grow((addition("x", by=0),)) == (True,)

        assert await store.arrive((member(0, b"a"),)) == (whole(b"a", b"b", b"X"),)

    @case
    async def test_one_that_was_added_may_add(self, rig: Rig) -> None:
        store: Any = rig.backend
        await store.grow((addition("x", by=0),))
        await store.arrive((member(0, b"a"), member(1, b"b")))
        by_added = Addition(join="j", size=2, member="z", by="x", by_index=ADDED)
        assert await store.grow((by_added,)) == (True,)
        assert await store.arrive((added("x", b"X"),)) == (OPEN,)

        assert await store.grow((Addition(join="j", size=2, member="w", by="x", by_index=ADDED),)) == (False,)
        assert await store.arrive((added("z", b"Z"),)) == (whole(b"a", b"b", b"X", b"Z"),)

    @case
    async def test_nothing_is_added_by_one_whose_seat_is_taken(self, rig: Rig) -> None:
        """Another run of it has ended: this one must not change what the others wait for."""
        store: Any = rig.backend
        await store.arrive((member(0, b"a"),))

        assert await store.grow((addition("x", by=0),)) == (False,)

        assert await store.arrive((member(1, b"b"),)) == (whole(b"a", b"b"),)
        assert await store.grow((addition("x", by=1),)) == (False,)
        assert await store.arrive((member(1, b"b"),)) == (whole(b"a", b"b"),)

    @case
    async def test_nobody_waits_for_it_where_a_member_has_failed(self, rig: Rig) -> None:
        store: Any = rig.backend
        await store.arrive((member(0, b"why", failed=True),))

        assert await store.grow((addition("x", by=1),)) == (True,)

        for answer in await store.arrive((added("x", b"X"), member(1, b"b"))):
            assert not answer.complete

    @case
    async def test_one_that_fails_closes_the_join(self, rig: Rig) -> None:
        store: Any = rig.backend
        await store.grow((addition("x", by=0),))
        await store.arrive((member(1, b"b"), added("x", b"why", failed=True)))

        (answer,) = await store.arrive((member(0, b"a"),))
        assert not answer.complete

    @case
    async def test_callers_may_say_it(self, rig: Rig) -> None:
        blocking: Any = rig.main.blocking_backend()

        assert blocking.grow((addition("x", by=0), addition("x", by=0))) == (True, True)

        await rig.backend.arrive((member(0, b"a"), member(1, b"b")))
        assert await rig.backend.arrive((added("x", b"X"),)) == (whole(b"a", b"b", b"X"),)


def addition(id: str, *, by: int) -> Addition:
    return Addition(join="j", size=2, member=id, by=f"m{by}", by_index=by)


def member(index: int, value: bytes, **more: Any) -> Seat:
    return seat(index, value, size=2, id=f"m{index}", **more)


def added(id: str, value: bytes, **more: Any) -> Seat:
    return seat(ADDED, value, size=2, id=id, **more)


def whole(*values: bytes) -> Joined:
    return Joined(join="j", complete=True, values=values)
