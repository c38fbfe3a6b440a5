"""When a pool grows and when it shrinks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leveret.errors import ImproperlyConfigured
from leveret.logic.pools.scaling import LATENCY_SECONDS, QUIET_SECONDS, Limits, Load, Past, scale

LIMITS = Limits(most=10, least=2)


def play(loads, limits=LIMITS, past=None):
    """One look a second; answers the sizes, each obeyed before the next look."""
    past, sizes, slots = past or Past(), [], limits.least
    for second, load in enumerate(loads):
        past, slots = scale(past, Load(slots=slots, **load(slots)), limits, float(second))
        sizes.append(slots)
    return sizes


def full(waiting=1000, waited=5.0):
    return lambda slots: {"busy": slots, "waiting": waiting, "waited": waited}


def quiet(busy=0):
    return lambda slots: {"busy": min(busy, slots), "waiting": 0}


def test_it_doubles_while_messages_wait_too_long_and_stops_at_the_most():
    assert play([full()] * 5) == [4, 8, 10, 10, 10]


def test_it_grows_by_no_more_than_waits():
    assert play([full(waiting=1)] * 3) == [3, 4, 5]


def test_a_message_that_has_just_come_is_no_reason():
    assert play([full(waited=LATENCY_SECONDS / 2)] * 5) == [2] * 5


def test_where_the_broker_does_not_say_how_long_two_looks_count():
    assert play([full(waited=None)] * 3) == [2, 4, 8]


def test_idle_slots_that_take_nothing_are_not_helped_by_more_of_them():
    assert play([lambda slots: {"busy": 0, "waiting": 50, "waited": 9.0}] * 5) == [2] * 5


def test_it_shrinks_after_a_quiet_time_to_what_was_needed_in_it():
    busy = [full()] * 3
    sizes = play([*busy, *[quiet(busy=5)] * int(QUIET_SECONDS + 5)])

    assert sizes[2] == 10
    assert sizes[int(QUIET_SECONDS)] == 10, "not before"
    assert sizes[-1] == 5


def test_one_busy_moment_in_the_quiet_time_keeps_the_slots():
    looks = [quiet()] * 100
    looks[::20] = [quiet(busy=10)] * 5
    assert set(play([*[full()] * 3, *looks])[3:90]) == {10}


def test_it_never_goes_below_the_least():
    assert play([*[full()] * 3, *[quiet()] * 100])[-1] == LIMITS.least


def test_changed_limits_are_obeyed_at_the_next_look():
    load = Load(slots=8, busy=8, waiting=0)

    assert scale(Past(), load, Limits(most=5, least=1), 0.0)[1] == 5
    assert scale(Past(), load, Limits(most=50, least=20), 0.0)[1] == 20


@pytest.mark.parametrize(("most", "least"), [(3, 10), (0, 0), (5, 0), (-1, 1)])
def test_limits_that_cannot_be_are_refused(most, least):
    with pytest.raises(ImproperlyConfigured, match="MAX,MIN"):
        Limits(most=most, least=least)


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 5000), st.none() | st.floats(0, 100)), min_size=1, max_size=120
    )
)
def test_the_limits_hold_and_what_is_remembered_stays_small(looks):
    past, slots = Past(), LIMITS.least
    for second, (busy, waiting, waited) in enumerate(looks):
        load = Load(slots=slots, busy=min(busy, slots), waiting=waiting, waited=waited)
        past, slots = scale(past, load, LIMITS, float(second))
        assert LIMITS.least <= slots <= LIMITS.most
        assert len(past.needed) <= QUIET_SECONDS + 1
