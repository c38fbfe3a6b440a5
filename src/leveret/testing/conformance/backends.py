"""How long a store of its own server keeps things: in real time, since its clock cannot be stepped. For drivers of such
stores, beside the suite."""

import asyncio
from dataclasses import replace

from leveret.testing.conformance.case import case
from leveret.testing.conformance.fleet import OPTIONS
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import retry, success, tombstone


class TestKeepingInRealTime:
    needs = (Trait.STORE,)

    @case
    async def test_a_result_is_forgotten_when_its_time_is_over(self, rig: Rig) -> None:
        await rig.store(success("a", expires_after=0.2), success("b", expires_after=60), success("c"))
        assert None not in await rig.backend.get(["a", "b", "c"])

        await gone(rig, "a")

        assert [record and record.id for record in await rig.backend.get(["a", "b", "c"])] == [None, "b", "c"]
        assert await rig.store(success("a"), success("b")) == (True, False)

    @case
    async def test_storing_again_renews_the_term(self, rig: Rig) -> None:
        await rig.store(retry("a", expires_after=0.3), retry("b", expires_after=0.3))
        await rig.store(success("a", 1, expires_after=60))
        await gone(rig, "b")

        assert (await rig.backend.get(["a"]))[0] is not None

    @case
    async def test_a_term_ends_with_a_record_that_is_kept(self, rig: Rig) -> None:
        await rig.store(retry("a", expires_after=0.3), retry("b", expires_after=0.3))
        await rig.store(success("a", 1))
        await gone(rig, "b")

        assert (await rig.backend.get(["a"]))[0] is not None

    @case(options=replace(OPTIONS, tombstone_expires=0.3))
    async def test_a_tombstone_has_a_term_of_its_own(self, rig: Rig) -> None:
        await rig.store(tombstone("a"), tombstone("b", expires_after=60))
        assert None not in await rig.backend.get(["a", "b"])

        await gone(rig, "a")

        assert [record and record.id for record in await rig.backend.get(["a", "b"])] == [None, "b"]


async def gone(rig: Rig, name: str) -> None:
    """Wait until a record is forgotten."""
    while (await rig.backend.get([name]))[0] is not None:  # noqa: ASYNC110 - nobody rings when a term is over
        await asyncio.sleep(0.02)
