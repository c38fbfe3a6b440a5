"""One worker process as its supervisor sees it: the table of states, and the watch over its heart."""

import itertools

from leveret.model.delivery import Receipt
from leveret.model.node import Running
from leveret.supervisor.child import MOVES, Event, Finding, Patience, State, Vigil, overdue
from leveret.supervisor.slots import PageView

PATIENCE = Patience(stall=10.0, unsettled=30.0, answer=1.0)


def page(
    beats: int = 1,
    *,
    running: int = 0,
    unsettled_since: float = 0.0,
    hold: bool = False,
    torn: int = 0,
    deadline: float | None = None,
) -> PageView:
    ran = tuple(
        Running(id=str(number), receipt=Receipt(str(number)), attempt=0, started=0.0, deadline=deadline)
        for number in range(running)
    )
    return PageView(pid=1, beats=beats, unsettled_since=unsettled_since, hold=hold, slots=1, running=ran, torn=torn)


def watch(view: PageView, seconds: float, *, start: float = 0.0, vigil: Vigil | None = None) -> list[Finding]:
    """Look once a second; monotonic and unix time run alike here."""
    vigil = vigil or Vigil()
    return [
        vigil.look(view, PATIENCE, monotonic=start + second, now=start + second) for second in range(int(seconds) + 1)
    ]


def first(findings: list[Finding], wanted: Finding) -> int | None:
    return next((second for second, found in enumerate(findings) if found is wanted), None)


def test_every_state_but_the_last_knows_every_event() -> None:
    for state, event in itertools.product(State, Event):
        assert (event in MOVES[state]) == (state is not State.DEAD)


def test_quiet_is_never_left_but_by_the_end() -> None:
    assert set(MOVES[State.QUIETING].values()) == {State.QUIETING, State.DEAD}


def test_a_beating_heart_is_fine() -> None:
    vigil = Vigil()

    findings = [vigil.look(page(beat), PATIENCE, monotonic=float(beat), now=float(beat)) for beat in range(1, 100)]

    assert set(findings) == {Finding.FINE}


def test_silent_and_idle_is_stuck_after_ten_seconds() -> None:
    assert first(watch(page(), 15), Finding.STUCK) == 10


def test_a_heart_that_never_beat_is_watched_too() -> None:
    assert first(watch(page(0), 15), Finding.STUCK) == 10


def test_silent_while_a_task_runs_is_held_not_killed() -> None:
    findings = watch(page(running=1), 100)

    assert first(findings, Finding.HOLD) == 10
    assert Finding.STUCK not in findings


def test_who_is_held_is_held_once() -> None:
    assert set(watch(page(running=1, hold=True), 40)[1:]) == {Finding.FINE}


def test_a_torn_record_counts_as_a_running_task() -> None:
    assert Finding.STUCK not in watch(page(torn=1), 40)


def test_an_outcome_unsettled_for_long_ends_even_a_running_task() -> None:
    assert first(watch(page(running=1, unsettled_since=5.0), 60), Finding.STUCK) == 35


def test_a_heart_that_beats_again_after_a_hold_is_told() -> None:
    vigil = Vigil()
    watch(page(1, running=1), 12, vigil=vigil)

    assert vigil.look(page(2, hold=True), PATIENCE, monotonic=13.0, now=13.0) is Finding.RECOVERED


def test_a_supervisor_that_was_itself_stopped_accuses_nobody() -> None:
    vigil = Vigil()
    vigil.look(page(), PATIENCE, monotonic=0.0, now=0.0)

    assert vigil.look(page(), PATIENCE, monotonic=3600.0, now=3600.0) is Finding.FINE


def test_a_time_limit_is_left_to_a_child_that_answers() -> None:
    vigil = Vigil()

    findings = [
        vigil.look(page(beat, running=1, deadline=5.0), PATIENCE, monotonic=float(beat), now=float(beat))
        for beat in range(1, 60)
    ]

    assert set(findings) == {Finding.FINE}


def test_a_time_limit_is_enforced_on_a_silent_child() -> None:
    assert first(watch(page(running=1, deadline=6.0), 20), Finding.OVERDUE) == 7


def test_overdue_names_only_who_is_late() -> None:
    late = Running(id="a", receipt=Receipt("a"), attempt=0, started=0.0, deadline=5.0)
    free = Running(id="b", receipt=Receipt("b"), attempt=0, started=0.0)
    view = PageView(pid=1, beats=1, unsettled_since=0.0, hold=False, slots=2, running=(late, free))

    assert overdue(view, 5.0) == {Receipt("a")}
    assert overdue(view, 4.9) == frozenset()
