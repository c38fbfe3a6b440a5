"""Chores on a real file: what expires goes in small steps, and the file gets small again."""

import asyncio
import os

from tests.integration.sql.rig import ShiftedClock, counts, open_driver, posting, send

from leveret.model.message import TaskId
from leveret.model.settlement import Record


def _record(n: int, seconds: float) -> Record:
    name = TaskId(f"{os.urandom(8).hex()}-{n}")
    return Record(id=name, attempt=0, state="SUCCESS", meta=b"x" * 200, terminal=True, expires_after=seconds)


async def _until_quiet(chores) -> int:
    steps = 1
    while await chores.upkeep() < 0.1:
        steps += 1
    return steps


def test_expired_results_go_in_small_steps_and_the_file_shrinks(tmp_path):
    clock = ShiftedClock()
    driver = open_driver(tmp_path, clock)

    async def main():
        backend = driver.backend()
        kept = tuple(_record(n, 3600.0) for n in range(100))
        await backend.store(kept)
        for _ in range(60):
            await backend.store(tuple(_record(n, 60.0) for n in range(1000)))
        chores = driver.chores()
        await _until_quiet(chores)
        clock.shift = 61.0
        steps = await _until_quiet(chores)
        return steps, await backend.get([record.id for record in kept])

    before = 60_000 * 200
    steps, kept = asyncio.run(main())
    assert steps > 200
    assert all(record is not None for record in kept)
    assert (tmp_path / "queue.db").stat().st_size < before / 1.2
    assert driver._database.peek(lambda c: c._open().execute("SELECT count(*) FROM results").fetchone()) == (100,)


def test_an_expired_result_is_absent_before_the_chore_has_come(tmp_path):
    clock = ShiftedClock()
    driver = open_driver(tmp_path, clock)
    record = _record(1, 60.0)
    backend = driver.blocking_backend()
    backend.store((record,))
    assert backend.get((record.id,))[0] is not None

    clock.shift = 61.0

    assert backend.get((record.id,)) == (None,)
    assert backend.store((record,)) == (True,), "the fence of a forgotten outcome is gone with it"


def test_upkeep_says_when_the_next_message_is_due(tmp_path):
    clock = ShiftedClock()
    driver = open_driver(tmp_path, clock)
    driver.blocking().publish((posting("soon", not_before=clock.now() + 0.49),), timeout=5)
    driver.blocking().publish((posting("late", not_before=clock.now() + 60),), timeout=5)

    async def main():
        chores = driver.chores()
        first = await chores.upkeep()
        clock.shift = 1.0
        return first, await chores.upkeep()

    first, second = asyncio.run(main())
    assert 0.0 < first < 0.5
    assert second == 0.5
    assert counts(driver) == (1, 1, 0, 0)


def test_purge_leaves_what_is_claimed_and_other_queues(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, *(f"a{n}" for n in range(5000)))
    driver.blocking().publish((posting("b", queue="other"),), timeout=5)
    send(driver, "single")

    assert asyncio.run(driver.admin().purge(("default",))) == 5001
    assert counts(driver) == (0, 0, 0, 0)
    assert asyncio.run(driver.admin().counts(("other",)))[0].ready == 1
