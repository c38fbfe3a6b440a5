"""When a worker process is started again."""

from hypothesis import given
from hypothesis import strategies as st

from leveret.logic.restart import (
    Died,
    Drained,
    Ending,
    GiveUp,
    Restart,
    RestartPolicy,
    Streak,
    Unready,
    restart,
)

POLICY = RestartPolicy()


def delays(*endings: Ending, policy: RestartPolicy = POLICY) -> list[float | None]:
    """The delay after each ending, None for giving up."""
    streak, found = Streak(), list[float | None]()
    for ending in endings:
        streak, decision = restart(policy, streak, ending)
        found.append(decision.delay if isinstance(decision, Restart) else None)
    return found


def test_the_first_restart_is_immediate() -> None:
    assert delays(Unready()) == delays(Died(0.0)) == delays(Drained()) == [0.0]


def test_deaths_before_ready_back_off_and_are_given_up() -> None:
    assert delays(*[Unready()] * 10) == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, None]


def test_giving_up_says_after_how_many() -> None:
    assert restart(POLICY, Streak(unready=9), Unready())[1] == GiveUp(10)


def test_a_task_that_kills_quickly_never_waits_long_and_is_never_given_up() -> None:
    found = delays(*[Died(0.1)] * 1000)

    assert found[:7] == [0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.5]
    assert set(found[7:]) == {0.5}


def test_a_child_that_was_steady_starts_a_new_streak() -> None:
    assert delays(*[Died(0.1)] * 4, Died(60.0), Died(0.1)) == [0.0, 0.0, 0.0, 0.1, 0.0, 0.0]


def test_an_orderly_end_forgets_every_streak() -> None:
    assert delays(Unready(), Unready(), Drained(), Unready()) == [0.0, 0.1, 0.0, 0.0]


endings = st.lists(
    st.one_of(st.just(Drained()), st.just(Unready()), st.floats(0, 100).map(Died)), min_size=1, max_size=40
)


@given(endings)
def test_work_never_waits_longer_than_the_ceilings_say(found: list[Ending]) -> None:
    for ending, delay in zip(found, delays(*found), strict=True):
        if delay is not None:
            assert 0.0 <= delay <= (POLICY.ceiling if isinstance(ending, Unready) else POLICY.ready_ceiling)
        else:
            assert isinstance(ending, Unready)
