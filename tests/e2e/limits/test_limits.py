"""limits: rates, concurrency and unique tasks over three nodes of real processes, with kills (issue 8, must hold 1)."""

import multiprocessing
import random
import sys
import time
from collections import defaultdict
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from tests.e2e.drill import SEED, keep_part, size
from tests.e2e.limits.field import STORES, Field, field, kill, most_at_once, most_in
from tests.e2e.limits.sizes import RATE, SLOTS

from leveret import Leveret

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are killed and counted as Linux has them"),
]

SECONDS = size(30.0, 4.0)
KILLS = size(30, 4)
HELD_SECONDS = 0.3
ROUNDS = size(1_000, 100)
PRODUCERS = 50


def rate(store: str, folder: Path, mutant: str = "") -> dict[str, Any]:
    with field(store, folder) as fleet:
        fleet.start("-c", "2", mutant=mutant)
        fleet.send("paced", [()] * int(RATE * (SECONDS + 4)))
        fleet.until(lambda: bool(fleet.starts()), 10.0)
        began = fleet.starts()[0]
        time.sleep(max(0.0, began + SECONDS + 0.5 - time.time()))
        starts = [at for at in fleet.starts() if at < began + SECONDS]
        codes = fleet.stop()
    return {
        "most_in_a_second": most_in(starts, 1.0),
        "used": round(len(starts) / (RATE * SECONDS), 4),
        "exit_codes": codes,
    }


@pytest.mark.parametrize("store", STORES)
def test_no_second_sees_more_starts_than_the_rate_and_its_burst(store: str, tmp_path: Path) -> None:
    figures = rate(store, tmp_path)

    keep_part("limits", f"rate {store}", {"seconds": SECONDS, "rate": RATE, **figures})
    assert figures["most_in_a_second"] <= 55
    assert figures["used"] >= 0.95
    assert figures["exit_codes"] == [0, 0, 0]


def concurrency(store: str, folder: Path, mutant: str = "") -> dict[str, Any]:
    dice, kills = random.Random(SEED), list[float]()
    with field(store, folder) as fleet:
        fleet.start("-c", "3", mutant=mutant)
        # More than can run while anybody is killed.
        total = int((KILLS + 4) * 3.0 * SLOTS / HELD_SECONDS)
        fleet.send("held", [(dice.uniform(0.5, 1.5) * HELD_SECONDS,) for _ in range(total)])
        fleet.until(lambda: running(fleet, {}) and len(running(fleet, {})) >= min(SLOTS, 4), 20.0)
        killed, waits, pids = dict[int, float](), list[float](), list[int]()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.5, 1.0))
            pids = sorted(running(fleet, killed))
            if not pids:
                continue
            pid = dice.choice(pids)
            killed[pid] = kill(pid)
            kills.append(killed[pid])
            waits.append(_recovered(fleet, killed))
        used = _used(fleet, killed)
        runs = _runs(fleet, killed)
    return {
        "kills": len(kills),
        "most_at_once": most_at_once(runs),
        "slot_free_again_after": round(max(waits, default=0.0), 3),
        "slot_free_again_median": round(median(waits or [0.0]), 3),
        "used": round(used, 3),
    }


def _runs(fleet: Field, killed: dict[int, float]) -> list[tuple[float, float]]:
    """From start to end; of a process that was killed what ran ended then."""
    ends = defaultdict[tuple[str, int], list[float]](list)
    for lines in fleet.history.of("done").values():
        for line in lines:
            ends[line.id, line.pid].append(line.at)
    found = []
    for lines in fleet.history.of("start").values():
        for line in lines:
            # A line is written a moment after what it tells: whose end it is may have begun elsewhere by then.
            over = min((at for at in ends[line.id, line.pid] if at >= line.at), default=killed.get(line.pid, inf))
            found.append((line.at, over))
    return found


def running(fleet: Field, killed: dict[int, float]) -> dict[int, str]:
    """Process -> id."""
    fleet.history.read()
    ended = {(line.id, line.pid) for lines in fleet.history.of("done").values() for line in lines}
    return {
        line.pid: line.id
        for lines in fleet.history.of("start").values()
        for line in lines
        if (line.id, line.pid) not in ended and line.pid not in killed
    }


def _recovered(fleet: Field, killed: dict[int, float]) -> float:
    """Seconds until as many run again as may."""
    began = time.monotonic()
    while len(running(fleet, killed)) < SLOTS and time.monotonic() - began < 15.0:
        time.sleep(0.005)
    return time.monotonic() - began


def _used(fleet: Field, killed: dict[int, float]) -> float:
    """Share of slots in use, from the first start on."""
    now = time.time()
    runs = [(began, min(ended, now)) for began, ended in _runs(fleet, killed)]
    first = min(began for began, _ in runs)
    return sum(ended - began for began, ended in runs) / (SLOTS * (now - first))


@pytest.mark.parametrize("store", STORES)
def test_never_more_run_than_may_and_the_dead_hold_nothing(store: str, tmp_path: Path) -> None:
    figures = concurrency(store, tmp_path)

    keep_part("limits", f"concurrency {store}", {"slots": SLOTS, **figures})
    assert figures["most_at_once"] <= SLOTS
    assert figures["kills"] >= KILLS * 0.8
    assert figures["slot_free_again_after"] <= 5.0
    assert figures["used"] >= 0.5


def lost_node(store: str, folder: Path, mutant: str = "") -> dict[str, Any]:
    """A whole node vanishes: its slots are free when its lease has run out, and not before."""
    with field(store, folder) as fleet:
        fleet.start("-c", "3", mutant=mutant)
        fleet.send("held", [(HELD_SECONDS,)] * int((fleet.lease + 20.0) * SLOTS / HELD_SECONDS))
        fleet.until(lambda: len(running(fleet, {})) == SLOTS, 20.0)
        victim = fleet.workers[0]
        fleet.until(lambda: victim.name in _names(fleet), 20.0)
        held = {line.pid for lines in fleet.history.of("start").values() for line in lines if line.node == victim.name}
        victim.end()
        at = time.time()
        killed = dict.fromkeys(held, at)
        fleet.until(lambda: len(running(fleet, killed)) >= SLOTS, fleet.lease + 15.0)
        waited = time.time() - at
        time.sleep(1.0)
        runs = _runs(fleet, killed)
    return {"most_at_once": most_at_once(runs), "lease": fleet.lease, "slots_free_again_after": round(waited, 2)}


def _names(fleet: Field) -> set[str]:
    """Nodes of which something runs."""
    now = running(fleet, {})
    return {line.node for lines in fleet.history.of("start").values() for line in lines if line.pid in now}


@pytest.mark.parametrize("store", STORES)
def test_a_lost_node_gives_its_slots_up_with_its_lease(store: str, tmp_path: Path) -> None:
    figures = lost_node(store, tmp_path)

    keep_part("limits", f"lost node {store}", figures)
    assert figures["most_at_once"] <= SLOTS
    assert figures["slots_free_again_after"] <= figures["lease"] + 5.0


def unique(store: str, folder: Path, mutant: str = "") -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    with field(store, folder) as fleet:
        url = fleet.environment["KILL_URL"]
        barrier, told = context.Barrier(PRODUCERS), context.SimpleQueue()
        crowd = [
            context.Process(target=_produce, args=(url, barrier, told, mutant), daemon=True) for _ in range(PRODUCERS)
        ]
        began = time.monotonic()
        for one in crowd:
            one.start()
        answers = [told.get() for _ in crowd]
        for one in crowd:
            one.join(10)
        seconds = time.monotonic() - began
        fleet.start("-c", "2", mutant=mutant)
        fleet.until(lambda: len(fleet.history.of("start")) >= ROUNDS, 60.0)
        fleet.stop()
        runs = fleet.history.of("start")
        winners = [len({ids[number] for ids in answers}) for number in range(ROUNDS)]
        ran = {number: {line.id for line in runs[str(number)]} for number in range(ROUNDS)}
    return {
        "rounds": ROUNDS,
        "producers": PRODUCERS,
        "rounds_with_one_winner": sum(count == 1 for count in winners),
        "rounds_with_one_run": sum(len(ids) == 1 for ids in ran.values()),
        "the_winners_ran": sum(ran[number] == {answers[0][number]} for number in range(ROUNDS)),
        "milliseconds_a_round": round(1000 * seconds / ROUNDS, 1),
    }


def _produce(url: str, barrier: Any, told: Any, mutant: str) -> None:
    from tests.e2e.mutants import mutate

    mutate(mutant)
    app = Leveret("limits_app", broker=url, set_as_current=False)

    @app.task(name="tests.e2e.limits.limits_app.once", unique_for=600)
    def once(number: int) -> int:
        return number

    ids = []
    for number in range(ROUNDS):
        barrier.wait(60)
        ids.append(once.delay(number).id)
    told.put(ids)
    app.close()


@pytest.mark.parametrize("store", STORES)
def test_of_fifty_producers_with_one_key_one_wins(store: str, tmp_path: Path) -> None:
    figures = unique(store, tmp_path)

    keep_part("limits", f"unique {store}", figures)
    assert figures["rounds_with_one_winner"] == ROUNDS
    assert figures["rounds_with_one_run"] == ROUNDS
    assert figures["the_winners_ran"] == ROUNDS
