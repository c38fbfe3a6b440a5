import pytest

from leveret.logic.slot import (
    DELIVERY,
    WORKER,
    DeliveryEvent,
    DeliveryState,
    IllegalMove,
    WorkerEvent,
    WorkerState,
    move,
)

FINAL = {DeliveryState.SETTLED, DeliveryState.RETURNED, DeliveryState.LOST}


def test_every_state_has_a_row_and_every_row_names_known_states():
    assert set(DELIVERY) == set(DeliveryState)
    assert set(WORKER) == set(WorkerState)


def test_a_final_delivery_stays_final():
    for state in FINAL:
        assert set(DELIVERY[state].values()) <= {state}


def test_every_delivery_can_reach_an_end():
    reached = set(FINAL)
    while True:
        more = {state for state in DELIVERY if reached & set(DELIVERY[state].values())}
        if more <= reached:
            break
        reached |= more
    assert reached == set(DeliveryState)


def test_what_was_acknowledged_early_is_never_given_back():
    assert DeliveryEvent.RETURN not in DELIVERY[DeliveryState.ACKED]


def test_anything_else_raises():
    with pytest.raises(IllegalMove, match="settle"):
        move(DELIVERY, DeliveryState.QUEUED, DeliveryEvent.SETTLE)
    with pytest.raises(IllegalMove):
        move(WORKER, WorkerState.DRAINED, WorkerEvent.REGISTER)
