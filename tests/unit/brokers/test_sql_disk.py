"""Who commits for a caller's loop: the loop while the disk is quick, else the thread."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from leveret.brokers.sql.blocking import Publisher
from leveret.brokers.sql.disk import MOST_ON_LOOP, Disk
from leveret.errors import EncodeError
from leveret.model.delivery import Encoded, Posting

UNTIL_QUICK = 11
"""Commits of 0.1 ms until it is clear that the disk usually takes less than 0.5."""


class Bench:
    """A disk under test: a clock that only commits move, and a publisher that notes which thread committed what."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = 0.0001
        """What a commit takes."""
        self.commits: list[tuple[str, list[str]]] = []
        self.busy = False
        """Whether it is another writer's turn."""
        self.gate = threading.Event()
        """The thread commits while it is set."""
        self.gate.set()
        self.disk = Disk(cast(Publisher, self), 10.0, lambda: self.now)

    def publish(self, postings: tuple[Posting, ...], timeout: float) -> None:
        assert self.gate.wait(10)
        self._commit("thread", postings)

    def publish_at_once(self, postings: tuple[Posting, ...]) -> bool:
        if not self.busy:
            self._commit("loop", postings)
        return not self.busy

    def _commit(self, who: str, postings: tuple[Posting, ...]) -> None:
        names = [posting.id for posting in postings]
        if "bad" in names:
            raise EncodeError("bad")
        self.now += self.seconds
        self.commits.append((who, names))

    async def send(self, *names: str, timeout: float | None = None) -> None:
        await self.disk.publish(tuple(map(posting, names)), timeout)

    async def make_quick(self) -> None:
        for _ in range(3 * UNTIL_QUICK):
            await self.send("x")
        self.commits.clear()


def posting(name: str) -> Posting:
    return Posting(id=name, queue="q", encoded=Encoded({}, b""))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(main, 10))


def test_the_loop_commits_once_the_thread_has_found_the_disk_quick(bench: Bench) -> None:
    async def main() -> None:
        for _ in range(UNTIL_QUICK + 2):
            await bench.send("a")

    run(main())

    assert [who for who, _ in bench.commits] == ["thread"] * UNTIL_QUICK + ["loop"] * 2


def test_one_slow_commit_is_forgiven_and_two_in_a_row_give_the_next_ones_to_the_thread(bench: Bench) -> None:
    async def main() -> None:
        await bench.make_quick()
        for seconds in (0.1, *[0.0001] * 12, 0.1, 0.1):
            bench.seconds = seconds
            await bench.send("a")
        bench.seconds = 0.0001
        for _ in range(UNTIL_QUICK + 1):
            await bench.send("b")

    run(main())

    who = [who for who, _ in bench.commits]
    assert who[:16] == [*["loop"] * 15, "thread"]
    assert who[-1] == "loop"


def test_what_a_loop_sends_in_one_turn_shares_a_commit(bench: Bench) -> None:
    async def main() -> None:
        await bench.make_quick()
        await asyncio.gather(*(bench.send(name) for name in "abc"))

    run(main())

    assert bench.commits == [("loop", ["a", "b", "c"])]


def test_much_at_a_time_is_for_the_thread(bench: Bench) -> None:
    async def main() -> None:
        await bench.make_quick()
        await bench.send(*["a"] * (MOST_ON_LOOP + 1))

    run(main())

    assert [who for who, _ in bench.commits] == ["thread"]


def test_the_thread_waits_for_another_writers_turn_and_order_is_kept(bench: Bench) -> None:
    async def main() -> None:
        await bench.make_quick()
        bench.busy = True
        bench.gate.clear()
        first = asyncio.create_task(bench.send("a"))
        for _ in range(3):  # into the turn, out of it, over to the thread
            await asyncio.sleep(0)
        bench.busy = False
        second = asyncio.create_task(bench.send("b"))
        await asyncio.sleep(0)
        bench.gate.set()
        await asyncio.gather(first, second)
        await bench.send("c")

    run(main())

    assert [name for _, names in bench.commits for name in names] == ["a", "b", "c"]
    assert bench.commits[-1] == ("loop", ["c"])


def test_one_bad_posting_of_a_turn_fails_alone(bench: Bench) -> None:
    async def main() -> None:
        await bench.make_quick()
        answers = await asyncio.gather(*(bench.send(name) for name in ("a", "bad", "c")), return_exceptions=True)
        assert [type(answer) for answer in answers] == [type(None), EncodeError, type(None)]

    run(main())

    assert [name for _, names in bench.commits for name in names] == ["a", "c"]


def test_a_disk_that_hangs_is_told_of_within_the_timeout(bench: Bench) -> None:
    async def main() -> None:
        bench.gate.clear()
        with pytest.raises(TimeoutError):
            await bench.send("a", timeout=0.01)
        bench.gate.set()
        await bench.send("b", timeout=5)

    run(main())

    assert [name for _, names in bench.commits for name in names] == ["a", "b"]


def test_a_second_loop_has_its_sendings_committed_too(bench: Bench) -> None:
    run(bench.send("a"))
    run(bench.send("b"))

    assert bench.commits == [("thread", ["a"]), ("thread", ["b"])]
