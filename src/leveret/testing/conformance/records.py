"""Outcomes: the fence, reading, waiting, seats, and how long things are kept."""

import asyncio
from dataclasses import replace

from leveret.model.delivery import Verdict
from leveret.model.message import TaskId
from leveret.model.settlement import Joined, Record
from leveret.model.state import FAILURE, REVOKED, STARTED, SUCCESS
from leveret.ports.broker import Capability
from leveret.testing.conformance.case import case
from leveret.testing.conformance.fleet import OPTIONS
from leveret.testing.conformance.needs import Trait
from leveret.testing.conformance.rig import Rig
from leveret.testing.conformance.values import posting, retry, seat, success, tombstone

DAY = 86_400.0


class TestRecords:
    needs = (Trait.STORE,)

    @case
    async def test_what_was_stored_is_read(self, rig: Rig) -> None:
        record = success("a", attempt=2, content_type="application/x-msgpack", meta=bytes(range(256)))

        assert await rig.store(record) == (True,)

        (found,) = await rig.backend.get(["a"])
        assert found is not None
        assert (found.id, found.attempt, found.state, found.terminal) == ("a", 2, "SUCCESS", True)
        assert (found.meta, found.content_type) == (bytes(range(256)), "application/x-msgpack")

    @case
    async def test_answers_come_in_the_order_asked(self, rig: Rig) -> None:
        await rig.store(success("a"), success("b"))

        found = await rig.backend.get(["b", "nobody", "a"])

        assert [record and record.id for record in found] == ["b", None, "a"]

    @case
    async def test_a_terminal_record_stands(self, rig: Rig) -> None:
        await rig.store(success("a"))
        failure = Record(id=TaskId("a"), attempt=0, state=FAILURE, terminal=True)

        assert await rig.store(failure) == (False,)
        assert await rig.store(retry("a", 1)) == (False,)
        assert await rig.store(success("a", 5)) == (False,)
        (found,) = await rig.backend.get(["a"])
        assert found is not None and (found.state, found.attempt) == ("SUCCESS", 0)

    @case
    async def test_the_same_terminal_record_again_is_refused(self, rig: Rig) -> None:
        assert await rig.store(success("a")) == (True,)
        assert await rig.store(success("a")) == (False,)

    @case
    async def test_a_batch_answers_for_each(self, rig: Rig) -> None:
        await rig.store(success("b"))

        assert await rig.store(success("a"), success("b"), success("c")) == (True, False, True)
        assert await rig.store(success("d"), success("d")) == (True, False)

    @case
    async def test_an_earlier_attempt_is_refused(self, rig: Rig) -> None:
        await rig.store(retry("a", 1))

        assert await rig.store(retry("a", 0), success("a", 0)) == (False, False)
        assert await rig.store(retry("a", 2)) == (True,)
        assert await rig.store(success("a", 3)) == (True,)

    @case
    async def test_a_retry_keeps_its_moment(self, rig: Rig) -> None:
        await rig.store(retry("a", not_before=1234.5))

        (found,) = await rig.backend.get(["a"])
        assert found is not None and found.not_before == 1234.5 and not found.terminal

    @case
    async def test_progress_may_be_stored_over_and_over(self, rig: Rig) -> None:
        def progress(n: int) -> Record:
            return Record(id=TaskId("a"), attempt=0, state="PROGRESS", meta=b"%d" % n)

        assert [await rig.store(progress(n)) for n in range(3)] == [(True,)] * 3
        (found,) = await rig.backend.get(["a"])
        assert found is not None and found.meta == b"2"

    @case
    async def test_a_state_that_a_task_gave_itself_is_no_end(self, rig: Rig) -> None:
        """`update_state(state="SUCCESS")`: the real outcome is still to come."""
        own = Record(id=TaskId("a"), attempt=0, state=SUCCESS, meta=b'{"status":"SUCCESS","result":"so far"}')

        assert await rig.store(own) == (True,)
        (found,) = await rig.backend.get(["a"])
        assert found is not None and (found.state, found.meta, found.terminal) == (SUCCESS, own.meta, False)
        assert await rig.store(own, success("a")) == (True, True)

    @case
    async def test_a_late_start_does_not_hide_the_retry_of_its_attempt(self, rig: Rig) -> None:
        """A stale copy of the run that reports STARTED would otherwise erase what `admit` has to replay."""
        await rig.store(retry("a", 0))

        assert await rig.store(Record(id=TaskId("a"), attempt=0, state=STARTED)) == (False,)
        assert await rig.store(Record(id=TaskId("a"), attempt=1, state=STARTED)) == (True,)

    @case
    async def test_a_tombstone_is_answered_and_fences(self, rig: Rig) -> None:
        await rig.store(tombstone("a"))

        (found,) = await rig.backend.get(["a"])
        assert found is not None and found.tombstone
        assert await rig.store(success("a")) == (False,)

    @case(needs=(Trait.BROKER, Capability.COMMIT))
    async def test_what_was_revoked_while_it_waited_is_marked_at_the_claim(self, rig: Rig) -> None:
        await rig.send("a", "b")
        await rig.store(Record(id=TaskId("b"), attempt=0, state=REVOKED, terminal=True))
        await rig.join()

        assert [delivery.revoked for delivery in await rig.claim()] == [False, True]

    @case
    async def test_forgotten_is_forgotten(self, rig: Rig) -> None:
        await rig.store(success("a"), success("b"))
        await rig.backend.forget(["a", "nobody"])

        assert [record and record.id for record in await rig.backend.get(["a", "b"])] == [None, "b"]
        assert await rig.store(success("a")) == (True,)

    @case
    async def test_the_blocking_face_does_the_same(self, rig: Rig) -> None:
        def work() -> list[object]:
            face = rig.driver.blocking_backend()
            answers: list[object] = [face.store((success("a"),)), face.store((success("a"),))]
            (found,) = face.wait(["a"], 1)
            answers.append(found and found.state)
            face.forget(["a"])
            answers.append(face.get(["a"]))
            face.close()
            return answers

        assert await asyncio.to_thread(work) == [(True,), (False,), "SUCCESS", (None,)]


class TestWaiting:
    needs = (Trait.STORE,)

    @case
    async def test_a_wait_for_what_has_ended_returns_at_once(self, rig: Rig) -> None:
        await rig.store(success("b"))

        found = await asyncio.wait_for(rig.backend.wait(["a", "b"], 10), 3)

        assert [record and record.id for record in found] == [None, "b"]

    @case
    async def test_a_wait_ends_with_the_outcome(self, rig: Rig) -> None:
        wait = asyncio.create_task(rig.backend.wait(["a"], 10))
        await asyncio.sleep(0.01)

        await rig.another().store(success("a"))

        (found,) = await asyncio.wait_for(wait, 3)
        assert found is not None and found.terminal

    @case
    async def test_a_wait_ends_with_its_time(self, rig: Rig) -> None:
        assert await asyncio.wait_for(rig.backend.wait(["a"], 0.02), 3) == (None,)

    @case
    async def test_a_thread_waits_for_what_a_loop_stores(self, rig: Rig) -> None:
        face = rig.main.blocking_backend()
        wait = asyncio.create_task(asyncio.to_thread(face.wait, ["a"], 10))
        await asyncio.sleep(0.02)
        await rig.store(success("a"))

        (found,) = await asyncio.wait_for(wait, 3)
        assert found is not None and found.id == "a"

    @case
    async def test_a_cancelled_wait_leaves_the_others(self, rig: Rig) -> None:
        first = asyncio.create_task(rig.backend.wait(["a"], 10))
        second = asyncio.create_task(rig.backend.wait(["a"], 10))
        await asyncio.sleep(0.01)
        first.cancel()
        await rig.store(success("a"))

        (found,) = await asyncio.wait_for(second, 3)
        assert found is not None


class TestJoins:
    needs = (Trait.STORE,)

    @case
    async def test_a_join_is_complete_with_its_last_seat(self, rig: Rig) -> None:
        arrive = rig.backend.arrive

        assert await arrive((seat(2, b"c"),)) == (Joined(join="j", complete=False),)
        assert await arrive((seat(0, b"a"),)) == (Joined(join="j", complete=False),)
        assert await arrive((seat(1, b"b"),)) == (Joined(join="j", complete=True, values=(b"a", b"b", b"c")),)

    @case
    async def test_a_seat_is_taken_once(self, rig: Rig) -> None:
        for _ in range(3):
            (joined,) = await rig.backend.arrive((seat(0, b"a"),))
            assert not joined.complete

    @case
    async def test_the_first_value_of_a_seat_wins(self, rig: Rig) -> None:
        await rig.backend.arrive((seat(0, b"first", size=2), seat(0, b"second", size=2)))

        (joined,) = await rig.backend.arrive((seat(1, b"b", size=2),))

        assert joined.values == (b"first", b"b")

    @case
    async def test_a_complete_join_answers_again(self, rig: Rig) -> None:
        await rig.backend.arrive((seat(0, b"a", size=2), seat(1, b"b", size=2)))

        for index in (0, 1):
            (joined,) = await rig.backend.arrive((seat(index, b"late", size=2),))
            assert joined == Joined(join="j", complete=True, values=(b"a", b"b"))

    @case
    async def test_joins_are_apart(self, rig: Rig) -> None:
        answers = await rig.backend.arrive((seat(0, b"a", join="x", size=1), seat(0, b"b", join="y", size=2)))

        assert [joined.complete for joined in answers] == [True, False]


class TestClosedJoins:
    needs = (Trait.STORE, Trait.CLOSES_JOINS)

    @case
    async def test_a_failed_seat_closes_the_join(self, rig: Rig) -> None:
        await rig.backend.arrive((seat(0, b"a", size=2), seat(1, b"why", size=2, failed=True)))

        for index in (0, 1):
            (joined,) = await rig.backend.arrive((seat(index, b"late", size=2),))
            assert not joined.complete

    @case
    async def test_a_join_may_be_closed_before_anybody_arrived(self, rig: Rig) -> None:
        await rig.backend.arrive((seat(-1, b"", size=1, failed=True),))

        (joined,) = await rig.backend.arrive((seat(0, b"a", size=1),))
        assert not joined.complete

    @case
    async def test_a_complete_join_cannot_be_closed(self, rig: Rig) -> None:
        await rig.backend.arrive((seat(0, b"a", size=1),))

        (joined,) = await rig.backend.arrive((seat(-1, b"", size=1, failed=True),))
        assert joined == Joined(join="j", complete=True, values=(b"a",))


class TestKeeping:
    needs = (Trait.STORE, Trait.HOURS)

    @case
    async def test_a_result_is_forgotten_when_its_time_is_over(self, rig: Rig) -> None:
        await rig.store(success("a", expires_after=60), success("b", expires_after=7200))
        await rig.advance(55)
        assert (await rig.backend.get(["a"]))[0] is not None
        await rig.jump(600)
        await rig.upkeep()

        assert [record and record.id for record in await rig.backend.get(["a", "b"])] == [None, "b"]

    @case
    async def test_a_result_without_a_term_is_kept(self, rig: Rig) -> None:
        await rig.store(success("a"))
        await rig.jump(400 * DAY)
        await rig.upkeep()

        assert (await rig.backend.get(["a"]))[0] is not None

    @case
    async def test_storing_again_renews_the_term(self, rig: Rig) -> None:
        await rig.store(retry("a", expires_after=60))
        await rig.advance(50)
        await rig.store(success("a", 1, expires_after=7200))
        await rig.jump(600)
        await rig.upkeep()

        assert (await rig.backend.get(["a"]))[0] is not None

    @case
    async def test_a_tombstone_lives_for_its_day(self, rig: Rig) -> None:
        await rig.store(tombstone("a", expires_after=DAY))
        await rig.jump(DAY / 2)
        await rig.upkeep()
        assert (await rig.backend.get(["a"]))[0] is not None
        await rig.jump(DAY)
        await rig.upkeep()

        assert await rig.backend.get(["a"]) == (None,)

    @case
    async def test_many_are_forgotten_in_small_steps(self, rig: Rig) -> None:
        names = [f"m{n}" for n in range(1500)]
        await rig.store(*(success(name, expires_after=60) for name in names))
        await rig.jump(3600)
        await rig.upkeep()

        assert set(await rig.backend.get(names)) == {None}

    @case(needs=Trait.BROKER, options=replace(OPTIONS, dead_letter_expires=DAY))
    async def test_dead_letters_are_kept_for_their_term(self, rig: Rig) -> None:
        await rig.broker.publish((posting("a"),))
        await rig.join()
        await rig.settle(await rig.one(), Verdict.REJECT, reason="poison")
        await rig.jump(DAY / 2)
        await rig.upkeep()
        assert len(await rig.admin.dead()) == 1
        await rig.jump(DAY)
        await rig.upkeep()

        assert await rig.admin.dead() == ()
