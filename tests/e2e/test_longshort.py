"""Short tasks do not wait behind long ones: the drill `python -m bench longshort`, with long tasks of 2 s."""

import random
import sys
from dataclasses import replace

import pytest
from bench.drills.longshort import LONGS, SHORTS, SLOTS
from bench.drills.runs import MIXED, SHORT, longest_wait, play
from bench.media import SQLITE

LONG_SECONDS = 2.0


@pytest.mark.slow
def test_no_short_task_waits_for_the_end_of_a_long_one_while_a_slot_is_free() -> None:
    order = [SHORT] * SHORTS + [LONG_SECONDS] * LONGS
    random.Random(60).shuffle(order)

    runs, _ = play(order, SLOTS, SQLITE, replace(MIXED, venv=sys.prefix))

    # 100 ms is what the drill in its full size judges, on a machine of its own; here a neighbour may take longer.
    assert longest_wait(runs, SLOTS) < LONG_SECONDS / 2
