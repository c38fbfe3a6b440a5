"""What a store of the schedule must do."""

from msgspec.structs import replace

from leveret.logic.schedules import ticks
from leveret.model.schedules.entry import RETRY_SECONDS, RUNS_KEPT
from leveret.model.schedules.timing import Every
from leveret.testing.conformance.schedules.rig import Rig, case, entry, move, names, told


class TestSchedules:
    @case
    async def test_an_entry_stands_as_it_was_put(self, rig: Rig) -> None:
        made = entry(zone="Asia/Seoul", arguments="1, x=2", expires_after=5.0, start=1.5, overlap="skip")

        (put,) = await rig.store.put((made,))

        assert put == await rig.one()
        assert put is not None
        assert (put.entry, put.revision, put.due, put.paused, put.runs) == (made, 1, 0.0, False, ())
        assert abs(put.cursor - await rig.now()) < 1.0
        assert await rig.other.look() == (put,)
        assert await rig.store.look(("b",)) == (None,)

    @case
    async def test_what_has_no_next_moment_yet_is_due_at_once_and_then_at_its_moment(self, rig: Rig) -> None:
        await rig.store.put((entry("a", 2.0), entry("b", 600.0)))
        assert sorted(names(await rig.store.due(10))) == ["a", "b"]

        await rig.plan()

        due = await rig.other.due(10)
        assert names(due) == []
        assert due.next is not None
        assert abs(due.next - due.now - 2.0) < 1.0
        await rig.advance(2.1)
        assert names(await rig.other.due(10)) == ["a"]

    @case
    async def test_what_is_due_longest_comes_first_and_the_rest_is_told(self, rig: Rig) -> None:
        await rig.due_in(0.2, "b")
        await rig.due_in(0.1, "a")
        await rig.due_in(0.3, "c")
        await rig.advance(0.5)

        due = await rig.store.due(2)

        assert (names(due), due.more) == (["a", "b"], True)
        assert not (await rig.store.due(3)).more

    @case
    async def test_one_of_two_decisions_counts(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        decision = move(standing, standing.cursor + 0.1)

        answers = (await rig.store.take((decision,)), await rig.other.take((decision,)))

        assert answers == ((True,), (False,))
        after = await rig.one()
        assert (after.cursor, after.due) == (decision.cursor, decision.due)
        assert (after.last, after.last_moment) == (decision.fires[0].id, decision.fires[0].moment)

    @case
    async def test_each_move_of_a_batch_is_for_itself(self, rig: Rig) -> None:
        one, other = await rig.due_in(0.1, "a"), await rig.due_in(0.1, "b")
        await rig.store.take((move(one, one.cursor + 0.1),))

        assert await rig.store.take((move(one, one.cursor + 0.1), move(other, other.cursor + 0.1))) == (False, True)

    @case
    async def test_a_change_raises_the_revision_and_keeps_the_place(self, rig: Rig) -> None:
        standing = await rig.due_in(60.0)

        (changed,) = await rig.store.put((replace(standing.entry, arguments="other"),))

        assert changed is not None
        assert (changed.revision, changed.cursor, changed.entry.arguments) == (2, standing.cursor, "other")
        assert await rig.store.take((move(standing, standing.cursor + 60.0),)) == (False,)

    @case
    async def test_a_change_of_its_times_begins_with_now(self, rig: Rig) -> None:
        standing = await rig.due_in(60.0)
        await rig.advance(0.5)

        (changed,) = await rig.store.put((entry("a", 30.0),))

        assert changed is not None
        assert changed.cursor > standing.cursor
        assert (changed.due, changed.revision) == (0.0, 2)

    @case
    async def test_the_same_again_changes_nothing(self, rig: Rig) -> None:
        standing = await rig.due_in(60.0)

        assert await rig.store.put((standing.entry,)) == (standing,)

    @case
    async def test_a_dropped_entry_is_gone_with_its_decisions(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)

        assert await rig.store.drop(("a", "b")) == (True, False)

        assert await rig.store.look() == ()
        assert await rig.store.take((move(standing, standing.cursor + 0.1),)) == (False,)

    @case
    async def test_a_paused_entry_is_never_due_and_goes_on_from_now(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        assert await rig.store.pause(("a", "b"), True) == (True, False)
        await rig.advance(0.3)

        assert await rig.one() == replace(standing, paused=True)
        assert names(await rig.store.due(10)) == []
        assert await rig.store.take((move(standing, standing.cursor + 0.1),)) == (False,)
        assert await rig.store.pause(("a",), False) == (True,)
        resumed = await rig.one()
        assert not resumed.paused
        assert resumed.cursor >= standing.cursor + 0.3
        assert names(await rig.store.due(10)) == ["a"]

    @case
    async def test_a_pause_survives_a_change(self, rig: Rig) -> None:
        await rig.due_in(60.0)
        await rig.store.pause(("a",), True)

        (changed,) = await rig.store.put((entry("a", 30.0),))

        assert changed is not None
        assert changed.paused


class TestScheduleSources:
    @case
    async def test_what_the_code_defines_replaces_what_it_defined(self, rig: Rig) -> None:
        first = (entry("a", source="code"), entry("b", source="code"))
        assert sorted(await rig.store.sync("code", first)) == ["a", "b"]
        await rig.store.put((entry("own"),))
        await rig.store.sync("others", (entry("theirs", source="others"),))

        changed = await rig.other.sync("code", (entry("b", source="code"), entry("c", source="code")))

        assert sorted(changed) == ["a", "c"]
        standings = [standing for standing in await rig.store.look() if standing is not None]
        assert [standing.entry.name for standing in standings] == ["b", "c", "own", "theirs"]
        assert await rig.store.sync("code", (entry("b", source="code"), entry("c", source="code"))) == ()

    @case
    async def test_code_that_defines_nothing_leaves_nothing_of_its_own(self, rig: Rig) -> None:
        assert await rig.store.sync("code", ()) == ()
        await rig.store.sync("code", (entry("a", source="code"),))
        await rig.store.put((entry("own"),))

        assert await rig.other.sync("code", ()) == ("a",)

        assert [s.entry.name for s in await rig.store.look() if s is not None] == ["own"]

    @case
    async def test_the_code_takes_over_what_was_made_at_run_time_and_never_the_other_way(self, rig: Rig) -> None:
        await rig.store.put((entry("a"),))

        await rig.store.sync("code", (entry("a", source="code"),))

        assert (await rig.one()).entry.source == "code"
        assert await rig.store.put((entry("a", 5.0),)) == (None,)
        assert (await rig.one()).entry.timing == Every(seconds=60.0)

    @case
    async def test_a_pause_survives_a_start(self, rig: Rig) -> None:
        await rig.store.sync("code", (entry("a", source="code"),))
        await rig.store.pause(("a",), True)

        await rig.store.sync("code", (entry("a", source="code", arguments="new"),))

        assert (await rig.one()).paused


class TestTakenRuns:
    @case
    async def test_a_run_that_nobody_reports_is_handed_on_once_at_a_time(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        decision = move(standing, standing.cursor + 0.1)
        await rig.store.take((decision,))
        assert (await rig.other.due(10)).fires == ()
        await rig.advance(RETRY_SECONDS + 0.1)

        assert (await rig.other.due(10)).fires == decision.fires
        assert (await rig.store.due(10)).fires == ()
        await rig.advance(RETRY_SECONDS + 0.1)
        assert (await rig.store.due(10)).fires == decision.fires

    @case
    async def test_a_reported_run_is_history(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        decision = move(standing, standing.cursor + 0.1)
        await rig.store.take((decision,))

        await rig.store.report((told(decision.fires[0]),))
        await rig.other.report((told(decision.fires[0]),))

        await rig.advance(RETRY_SECONDS + 0.1)
        assert (await rig.other.due(10)).fires == ()
        (run,) = (await rig.one(runs=5)).runs
        assert (run.id, run.moment, run.outcome) == (decision.fires[0].id, decision.cursor, "sent")
        assert 0.0 <= run.late < 30.0

    @case
    async def test_a_taken_run_is_the_entry_as_it_was(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        decision = move(standing, standing.cursor + 0.1)
        await rig.store.take((decision,))
        await rig.store.put((replace(standing.entry, arguments="new"),))
        await rig.advance(RETRY_SECONDS + 0.1)

        (fire,) = (await rig.store.due(10)).fires

        assert (fire.entry.arguments, fire.revision) == ("", 1)

    @case
    async def test_a_run_of_an_entry_that_was_dropped_is_still_handed_on(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        decision = move(standing, standing.cursor + 0.1)
        await rig.store.take((decision,))
        await rig.store.drop(("a",))
        await rig.advance(RETRY_SECONDS + 0.1)

        assert (await rig.store.due(10)).fires == decision.fires
        await rig.store.report((told(decision.fires[0]),))
        await rig.advance(RETRY_SECONDS + 0.1)
        assert (await rig.store.due(10)).fires == ()

    @case
    async def test_the_history_keeps_the_last_runs_newest_first(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        for number in range(RUNS_KEPT + 5):
            decision = move(standing, standing.cursor + 0.1)
            await rig.store.take((decision,))
            await rig.store.report((told(decision.fires[0]),))
            standing = await rig.one()
            if number == 2:
                await rig.store.take((ticks.skip(move(standing, standing.cursor + 0.1), standing.cursor + 0.1),))
                standing = await rig.one()

        runs = (await rig.one(runs=100)).runs

        assert len(runs) == RUNS_KEPT
        assert [run.moment for run in runs] == sorted((run.moment for run in runs), reverse=True)
        assert runs[0].moment == standing.cursor
        assert len((await rig.one(runs=3)).runs) == 3

    @case
    async def test_a_skipped_run_is_history_at_once(self, rig: Rig) -> None:
        standing = await rig.due_in(0.1)
        decision = ticks.skip(move(standing, standing.cursor + 0.1), standing.cursor + 1.0)

        await rig.store.take((decision,))

        (run,) = (await rig.one(runs=5)).runs
        assert (run.outcome, run.moment) == ("skipped", decision.cursor)
        assert (await rig.one()).last == ""
