"""Joins that Celery's workers share: its own scripts on one side, our driver on the other."""

import asyncio
import functools
import json
import random
from collections.abc import Iterator

import pytest
import redis
from celery.backends.redis import CHORD_CLEANUP_LUA, CHORD_PART_RETURN_LUA
from msgspec.structs import replace
from tests.integration.redis.server import Server
from tests.integration.redis.test_broker import Process, on_a_loop, posting

from leveret.model.delivery import Encoded, Verdict
from leveret.model.message import Addition, Header
from leveret.model.settlement import ADDED, NOTHING, Commitment, Released, Seat

BASE = "celery-taskset-meta-j"
KEYS = [f"{BASE}.j", f"{BASE}.t", f"{BASE}.s", f"{BASE}.d", BASE, f"{BASE}.c"]


class CeleryWorker:
    """What a worker of Celery 5.7 does when a header task of its has ended."""

    def __init__(self, server: Server) -> None:
        self.redis = redis.Redis.from_url(server.url, decode_responses=True)

    def part(self, id: str, index: int, state: str = "SUCCESS", token: str = "theirs") -> bool:
        """Answers whether it is to publish the body."""
        found = self.redis.eval(
            CHORD_PART_RETURN_LUA, len(KEYS), *KEYS, id, part(id, index, state), 1, index, 86_400, 86_400, 6, token
        )
        return found[-1] == 1

    def published(self, token: str = "theirs") -> None:
        self.redis.eval(CHORD_CLEANUP_LUA, 5, f"{BASE}.c", *KEYS[:4], token, 300)


def part(id: str, value: object, state: str = "SUCCESS") -> str:
    return json.dumps([1, id, state, value])


def release(joined) -> Released:
    return Released(follow=(posting("body", once=True),)) if joined.complete else NOTHING


def seat(number: int, size: int = 3, **facts) -> Seat:
    value = part(f"m{number}", number).encode()
    return Seat(join="j", id=f"m{number}", index=number, size=size, value=value, release=release, **facts)


class Worker(Process):
    async def run(self, name: str, number: int):
        """Send a member, or a copy of it, take it and take its seat."""
        copy = f"{name}-{self.number}" if self.number else name
        await self.broker.publish((posting(copy),))
        return await self.settle(number, *(await self.claim()))

    async def settle(self, number: int, delivery):
        commitment = Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, seat=seat(number))
        (answer,) = await self.broker.commit((commitment,))
        return answer.joined


@pytest.fixture
def theirs(server: Server) -> Iterator[CeleryWorker]:
    worker = CeleryWorker(server)
    yield worker
    worker.redis.close()


def shared(test):
    """On a loop, with a worker of ours and one of Celery's."""

    @functools.wraps(test)
    def run(server, theirs):
        on_a_loop(lambda given: test(theirs, server))(server)

    del run.__wrapped__
    return run


@shared
async def test_the_last_seat_is_ours(theirs, server):
    ours = await Worker(server, "s").open()
    assert not theirs.part("m0", 0)
    assert not (await ours.run("m1", 1)).complete

    joined = await ours.run("m2", 2)

    assert [json.loads(value)[1] for value in joined.values] == ["m0", "m1", "m2"]
    assert await ours.ids() == ["body"]
    assert not theirs.part("m0", 0), "delivered again, to Celery"
    assert not (await ours.run("m1", 1)).complete, "delivered again, to us"
    assert await ours.ids() == []
    assert theirs.redis.keys(f"{BASE}*") == [f"{BASE}.c"]
    assert not theirs.redis.exists("leveret:joins")


@shared
async def test_the_last_seat_is_celerys(theirs, server):
    ours = await Worker(server, "s").open()
    await ours.run("m0", 0)
    theirs.part("m1", 1)
    theirs.part("m1", 1)

    assert theirs.part("m2", 2)

    theirs.published()
    assert not (await ours.run("m0", 0)).complete
    assert await ours.ids() == []


@shared
async def test_a_join_that_celery_claimed_is_looked_at_again(theirs, server):
    """Its worker died before the body was out, and a member is delivered again: to us, who wait for the claim to end."""
    ours = await Worker(server, "s").open()
    await ours.run("m0", 0)
    theirs.part("m1", 1)
    assert theirs.part("m2", 2)

    assert (await ours.run("m0", 0)).claimed

    assert theirs.redis.zcard("leveret:delayed") == 1, "given back for a while"
    theirs.redis.delete(f"{BASE}.c")
    assert (await ours.run("m0", 0)).complete
    assert await ours.ids() == ["body"]


@shared
async def test_a_join_that_nobody_completes_is_found(theirs, server):
    """The same, and no member is delivered again: Celery acknowledges before it runs."""
    ours = await Worker(server, "s").open()
    chores = ours.driver.chores()
    await ours.run("m0", 0)
    theirs.part("m1", 1)
    assert theirs.part("m2", 2)

    async def look() -> list[tuple[str, int]]:
        theirs.redis.zadd("leveret:joins:due", {BASE: 0})
        await chores.upkeep()
        return [(one.encoded.headers["id"], one.count) for one in await ours.claim()]

    assert await look() == [], "claimed"
    theirs.redis.delete(f"{BASE}.c")
    theirs.redis.zadd("leveret:joins:due", {BASE: 0})
    await chores.upkeep()
    (again,) = await ours.claim()
    assert (again.encoded.headers["id"], again.count, again.redelivered) == ("m0", 2, True)
    assert (await ours.settle(0, again)).complete
    assert await ours.ids() == ["body"]
    assert await look() == []
    assert not theirs.redis.exists("leveret:joins:due")


@shared
async def test_a_body_that_has_ended_is_not_sent_again(theirs, server):
    """Its Celery worker died before it could say that it had published it. Whoever got a member again might be one too."""
    ours = await Worker(server, "s").open()
    member = {"chord": {"task": "body", "options": {"task_id": "b"}}}
    body = json.dumps([[], {}, member]).encode()
    await ours.broker.publish((replace(posting("m0"), encoded=Encoded({"task": "t", "id": "m0"}, body)),))
    await ours.settle(0, *(await ours.claim()))
    theirs.part("m1", 1)
    theirs.part("m2", 2)
    theirs.redis.delete(f"{BASE}.c")
    theirs.redis.set("celery-task-meta-b", '{"status": "SUCCESS", "result": 3}')

    theirs.redis.zadd("leveret:joins:due", {BASE: 0})
    await ours.driver.chores().upkeep()

    assert await ours.ids() == []
    assert theirs.redis.keys(f"{BASE}*") == [f"{BASE}.c"]


@shared
async def test_a_member_that_fails_here_is_a_failed_part_there(theirs, server):
    """Our process dies before the body has failed; the last seat is Celery's, who finds it."""
    ours = await Worker(server, "s").open()
    failed = seat(0, failed=True)
    (closed,) = await ours.driver.backend().arrive((failed,))
    (late,) = await ours.driver.backend().arrive((seat(1),))

    assert not closed.complete and not late.complete
    assert theirs.part("m2", 2)
    assert len(theirs.redis.zrange(f"{BASE}.j", 0, -1)) == 3


@shared
async def test_a_size_is_told_to_celery(theirs, server):
    ours = await Worker(server, "s").open()
    await ours.broker.publish((posting("m0", begins=(Header("j", 1),)),))

    assert theirs.part("m0", 0)


@shared
async def test_values_may_lie_in_a_list(theirs, server):
    """`result_chord_ordered=False`, here or at whoever came first."""
    ours = await Worker(server, "s").open()
    theirs.redis.rpush(f"{BASE}.j", part("m0", 0))
    theirs.redis.sadd(f"{BASE}.d", "m0:0")
    await ours.run("m1", 1)

    assert (await ours.run("m2", 2)).complete


class History:
    """Members of one chord, delivered to both sides one to three times, by processes that die in the middle; what is
    published, in the end."""

    def __init__(self, seed: int, server: Server, theirs: CeleryWorker) -> None:
        self.dice = random.Random(seed)
        self.theirs, self.backend = theirs, Process(server, "s").driver.backend()
        self.size = self.dice.randint(1, 5)
        self.failing = {number for number in range(self.size) if self.dice.random() < 0.15}
        self.published: list[str] = []

    async def play(self) -> list[str]:
        members = [number for number in range(self.size) for _ in range(self.dice.randint(1, 3))]
        self.dice.shuffle(members)
        while members:
            number = members.pop(0)
            alive = await (self.here(number) if self.dice.random() < 0.5 else self.there(number))
            if not alive:
                members.insert(self.dice.randint(0, len(members)), number)
        await self.backend.close()
        return self.published

    async def here(self, number: int) -> bool:
        failed = number in self.failing
        value = part(f"m{number}", number, "FAILURE" if failed else "SUCCESS").encode()
        one = Seat(join="j", id=f"m{number}", index=number, size=self.size, value=value, failed=failed)
        (joined,) = await self.backend.arrive((one,))
        told = (failed and not joined.over) or joined.complete or bool(joined.values)
        if joined.claimed or (told and self.dice.random() < 0.4):
            # Given back, or our process has died.
            self.theirs.redis.delete(f"{BASE}.l")
            return False
        if told:
            self.published.append("failure" if failed or b"FAILURE" in b"".join(joined.values) else "body")
            await self.backend.fired(("j",))
        return True

    async def there(self, number: int) -> bool:
        if self.theirs.part(f"m{number}", number, "FAILURE" if number in self.failing else "SUCCESS"):
            if self.dice.random() < 0.4:
                # It died, and its claim has run out.
                self.theirs.redis.delete(f"{BASE}.c")
                return False
            if any("FAILURE" in value for value in self.theirs.redis.zrange(f"{BASE}.j", 0, -1)):
                self.published.append("failure")
                self.theirs.redis.delete(f"{BASE}.s", f"{BASE}.c")
            else:
                self.published.append("body")
                self.theirs.published()
        return True


def test_whatever_dies_one_thing_comes_of_a_join(server, theirs):
    for seed in range(150):
        server.cli("FLUSHALL")
        history = History(seed, server, theirs)

        asyncio.run(theirs_and_ours(history))

        assert history.published == ["failure" if history.failing else "body"], f"seed {seed}"


async def theirs_and_ours(history: History) -> None:
    await history.backend.opened((Header("j", history.size),))
    await history.play()


def added(id: str) -> Addition:
    return Addition(join="j", size=2, member=id, by="m0", by_index=0)


@shared
async def test_a_member_is_counted_in_the_step_that_sends_it(theirs, server):
    """A Celery worker may take it at once: it knows nothing of members that count themselves."""
    ours = await Worker(server, "s").open()
    await ours.driver.backend().opened((Header("j", 2),))
    await ours.broker.publish((posting("x", adds=added("x"), once=True),))
    await ours.broker.publish((posting("x", adds=added("x"), once=True),))

    assert theirs.redis.get(f"{BASE}.t") == "1"
    assert not theirs.part("x", ADDED)
    assert not theirs.part("m1", 1)
    assert theirs.part("m0", 0)
    values = theirs.redis.zrange(f"{BASE}.j", 0, -1)
    assert [json.loads(value)[1] for value in values] == ["m0", "m1", "x"]


@shared
async def test_what_celery_adds_is_waited_for(theirs, server):
    ours = await Worker(server, "s").open()
    await ours.driver.backend().opened((Header("j", 2),))
    theirs.redis.incr(f"{BASE}.t")
    assert await ours.driver.backend().grow((added("x"),)) == (True,)
    ours_x = Seat(join="j", id="x", index=ADDED, size=2, value=part("x", 9).encode())
    theirs_y = Seat(join="j", id="y", index=0, size=2, value=part("y", 8).encode())

    for one in (ours_x, theirs_y, seat(1, size=2)):
        (joined,) = await ours.driver.backend().arrive((one,))
        assert not joined.complete

    (joined,) = await ours.driver.backend().arrive((seat(0, size=2),))
    assert joined.complete
    assert [json.loads(value)[1] for value in joined.values] == ["m0", "y", "m1", "x"]


@shared
async def test_nothing_is_left_of_a_join_that_was_grown(theirs, server):
    ours = await Worker(server, "s").open()
    store = ours.driver.backend()
    await store.grow((added("x"),))
    await store.arrive((Seat(join="j", id="x", index=ADDED, size=2, value=part("x", 9).encode()), seat(1, size=2)))
    await ours.broker.publish((posting("m0"),))
    (delivery,) = await ours.claim()
    last = Commitment(receipt=delivery.receipt, verdict=Verdict.ACK, seat=seat(0, size=2))
    await ours.broker.commit((last,))

    assert theirs.redis.keys(f"{BASE}*") == [f"{BASE}.c"]
    assert await store.grow((added("x"), added("y"))) == (False, False)
    assert theirs.redis.keys(f"{BASE}*") == [f"{BASE}.c"]


@shared
async def test_the_places_of_a_join_that_celery_ended_are_forgotten(theirs, server):
    ours = await Worker(server, "s").open()
    await ours.run("m0", 0)
    await ours.driver.backend().grow((Addition(join="j", size=3, member="x", by="m1", by_index=1),))
    assert 0 < theirs.redis.ttl(f"{BASE}.g") <= 30 * 86_400
    theirs.redis.delete(*KEYS)
    theirs.redis.set(f"{BASE}.c", "done")

    theirs.redis.zadd("leveret:joins:due", {BASE: 0})
    await ours.driver.chores().upkeep()

    assert theirs.redis.keys(f"{BASE}*") == [f"{BASE}.c"]
