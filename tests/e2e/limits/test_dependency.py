"""dependency: what 20,000 tasks do whose service is down (issue 8, must hold 3).

A breaker opens within 5 s and then lets one probe at a time; tasks without one retry no faster than their budget; when
the service is back everything is done, and nothing was tried more often than its policy says.
"""

import sys
import time
from collections import Counter
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.drill import keep_part, size
from tests.e2e.limits.field import STORES, Field, field, most_over
from tests.e2e.limits.service import Service
from tests.e2e.limits.sizes import TRIES

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes as Linux has them"),
]

TASKS = size(20_000, 2_000)
UNGUARDED = size(300, 40)
RECOVER = size(30.0, 4.0)
DOWN_SECONDS = size(60.0, 9.0)
BUDGET = 10.0
"""Retries a second, and as many at once; no task has succeeded before."""


def dependency(store: str, folder: Path, mutant: str = "") -> dict[str, Any]:
    service = Service()
    with field(store, folder, LIMITS_PORT=str(service.port), LIMITS_RECOVER=str(RECOVER)) as fleet:
        fleet.start("-c", "2", mutant=mutant)
        ids = fleet.send("unguarded", [(n,) for n in range(UNGUARDED)])
        ids += fleet.send("call", [(n,) for n in range(TASKS)])
        fleet.until(lambda: bool(fleet.starts("call")), 30.0)
        first = fleet.starts("call")[0]
        time.sleep(max(0.0, first + DOWN_SECONDS - time.time()))
        at_recovery = time.time()
        service.up()
        with suppress(AssertionError):
            fleet.until(lambda: bool(_done(fleet, "call")), 60.0)
        resumed = next(iter(_done(fleet, "call")), inf) - at_recovery
        states = _drained(fleet, ids)
        drained = time.time() - at_recovery
        codes = fleet.stop()
        figures = _judge(fleet, first, at_recovery)
    service.down()
    return {
        "tasks": TASKS + UNGUARDED,
        **figures,
        "resumed_after": round(resumed, 2),
        "drained_after": round(drained, 2),
        "states": dict(states),
        "exit_codes": codes,
    }


def _judge(fleet: Field, first: float, at_recovery: float) -> dict[str, Any]:
    lines = [line for found in fleet.history.of("start").values() for line in found]
    guarded = sorted(line.at for line in lines if line.key.startswith("call") and line.at < at_recovery)
    again = sorted(line.at for line in lines if line.key.startswith("unguarded") and line.note != "0")
    tries = Counter(line.id for line in lines)
    return {
        "calls_before_it_opened": sum(at < first + 5.0 for at in guarded),
        "probes_while_open": sum(at >= first + 5.0 for at in guarded),
        "most_probes": int((at_recovery - first) / RECOVER) + 1,
        "retries_of_unguarded": len(again),
        "retries_over_budget": round(most_over([at for at in again if at < at_recovery], BUDGET, BUDGET), 2),
        "most_tries": max(tries.values()),
    }


def _done(fleet: Field, kind: str) -> list[float]:
    return sorted(lines[0].at for key, lines in fleet.history.of("done").items() if key.startswith(kind))


def _drained(fleet: Field, ids: list[str]) -> Counter[str]:
    """The states of all when each is terminal, or time is up."""
    backend, deadline = fleet.sender.client.backend(), time.monotonic() + size(400.0, 100.0)
    states, left = Counter[str](), list(ids)
    while left and time.monotonic() < deadline:
        open_still = []
        for begin in range(0, len(left), 1000):
            some = left[begin : begin + 1000]
            for id, record in zip(some, backend.get(some), strict=True):
                if record is None or not record.terminal:
                    open_still.append(id)
                else:
                    states[record.state] += 1
        left = open_still
        time.sleep(0.5)
    states.update(["open"] * len(left))
    return states


def check(figures: dict[str, Any]) -> None:
    assert figures["resumed_after"] <= 60.0
    # Of tasks without a breaker those fail whose tries are used up before the service is back, as their policy says.
    assert figures["states"].get("open", 0) == 0
    assert figures["states"]["SUCCESS"] + figures["states"].get("FAILURE", 0) == figures["tasks"]
    assert figures["states"].get("FAILURE", 0) <= UNGUARDED
    assert figures["states"]["SUCCESS"] >= TASKS
    assert figures["most_tries"] <= TRIES
    assert figures["probes_while_open"] <= figures["most_probes"]
    # By the clock of whoever runs them: on a busy machine what was let in begins a little later.
    assert figures["retries_over_budget"] <= 0.5 * BUDGET
    assert figures["retries_of_unguarded"] >= BUDGET
    assert figures["exit_codes"] == [0, 0, 0]


@pytest.mark.parametrize("store", STORES)
def test_what_is_down_is_left_alone_and_nothing_is_lost(store: str, tmp_path: Path) -> None:
    figures = dependency(store, tmp_path)

    keep_part("dependency", store, figures)
    check(figures)
