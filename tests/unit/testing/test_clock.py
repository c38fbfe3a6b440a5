import random
import uuid

import pytest

from leveret.testing.clock import SimClock


def test_time_moves_only_when_told():
    clock = SimClock(start=100.0)

    assert (clock.now(), clock.monotonic()) == (100.0, 0.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)


def test_time_does_not_go_back():
    with pytest.raises(ValueError, match="-1"):
        SimClock().advance(-1)


def test_ids_are_uuids_and_the_same_for_the_same_dice():
    first, second = SimClock(dice=random.Random(7)), SimClock(dice=random.Random(7))

    ids = [first.new_id() for _ in range(5)]

    assert ids == [second.new_id() for _ in range(5)]
    assert len(set(ids)) == 5
    assert all(uuid.UUID(id).version == 4 for id in ids)
