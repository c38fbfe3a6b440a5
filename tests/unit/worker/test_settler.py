"""The settler against a store that fails in every way it can: before, after, and in the middle."""

import asyncio

import pytest
from tests.unit.worker.rig import CLOCK, CODEC, NODE, Rig

from leveret.errors import OperationalError
from leveret.model.delivery import Claim, SessionId
from leveret.model.message import Embed
from leveret.model.node import Session
from leveret.model.signature import SignatureSpec


class Unreliable:
    """A port whose named verb fails for its first calls, before or after it was carried out."""

    def __init__(self, port, verb, *, failures, after):
        self._port, self._verb, self._after = port, verb, after
        self.failures = failures
        self.calls = 0

    def __getattr__(self, name):
        target = getattr(self._port, name)
        return self._failing(target) if name == self._verb else target

    def _failing(self, target):
        async def call(*args):
            self.calls += 1
            if self.calls > self.failures:
                return await target(*args)
            if self._after:
                await target(*args)
            raise OperationalError("the line broke")

        return call


STEPS = [("backend", "store"), ("broker", "publish"), ("broker", "settle"), ("broker", "claim"), ("backend", "get")]


@pytest.mark.parametrize(("port", "verb"), STEPS)
@pytest.mark.parametrize("after", [False, True])
def test_an_outage_at_any_of_the_four_steps_loses_and_doubles_nothing(port, verb, after):
    rig = Rig(fused=False)
    ran = []
    rig.tasks.add(lambda n: ran.append(n) or n, "note")
    flaky = Unreliable(getattr(rig, port), verb, failures=3, after=after)

    async def scenario(worker):
        embed = Embed(callbacks=(SignatureSpec(task="note", options={"task_id": "linked"}),))
        first = await rig.send("note", 7, embed=embed, derived=True)
        assert (await rig.result(first)).result == 7
        assert (await rig.result("linked")).result == 7
        await rig.claimed(ready=0, claimed=0)

    rig.run(scenario, **{port: flaky})

    assert flaky.calls > 3
    assert ran == [7, 7]


@pytest.mark.parametrize("after", [False, True])
def test_a_fused_commit_that_got_no_answer_is_repeated(after):
    rig = Rig()
    ran = []
    rig.tasks.add(lambda n: ran.append(n) or n, "note")
    flaky = Unreliable(rig.driver.commit(), "commit", failures=2, after=after)

    async def scenario(worker):
        ids = [await rig.send("note", n) for n in range(5)]
        assert [(await rig.result(id)).result for id in ids] == list(range(5))
        await rig.claimed(ready=0, claimed=0)

    rig.run(scenario, commit=flaky)
    assert ran == list(range(5))


def test_the_fences_refusal_ends_the_copy():
    rig = Rig()
    rig.tasks.add(lambda: "second", "note")

    async def scenario(worker):
        id = await rig.send("note")
        assert (await rig.result(id)).result == "second"
        # A resend that the door did not know: same id, not derived, so that admit does not look.
        await rig.send("note", id=id)
        await rig.until(lambda: worker.stale)
        await rig.claimed(ready=0, claimed=0)

    rig.run(scenario)


def test_an_impossible_commitment_does_not_hold_up_the_others():
    rig = Rig(slots=1)
    rig.tasks.add(lambda n: n, "note")

    class Picky(Unreliable):
        def _failing(self, target):
            async def call(commitments):
                if any(b"poison" in c.record.meta for c in commitments if c.record is not None):
                    raise ValueError("cannot be bound")
                return await target(commitments)

            return call

    async def scenario(worker):
        poison = await rig.send("note", "poison")
        ids = [await rig.send("note", n) for n in range(20)]
        assert [(await rig.result(id)).result for id in ids] == list(range(20))
        await rig.claimed(ready=0, claimed=0)
        (letter,) = await rig.driver.admin().dead()
        assert (letter.id, letter.reason) == (poison, "could not be settled: cannot be bound")

    rig.run(scenario, commit=Picky(rig.driver.commit(), "commit", failures=0, after=False))


def test_what_a_lost_claim_reply_held_is_claimed_again_with_the_same_number():
    rig = Rig()
    seen = []
    rig.tasks.add(seen.append, "note")
    flaky = Unreliable(rig.broker, "claim", failures=1, after=True)

    async def prepare():
        await rig.send("note", 1)

    asyncio.run(prepare())

    async def scenario(worker):
        await rig.until(lambda: seen)
        await rig.claimed(ready=0, claimed=0)

    rig.run(scenario, broker=flaky)
    assert seen == [1]


def test_reconciliation_returns_what_nobody_knows():
    rig = Rig()
    other = Session(id=SessionId("s9"), node=NODE.name, incarnation="1", pid=1)

    async def scenario(worker):
        await rig.driver.leases().register(NODE, (other,))
        id = await rig.send("nobody", queue="elsewhere")
        (lost,) = await rig.broker.claim(Claim(session=other.id, queues=("elsewhere",), credit=1, number=0))
        back = await rig.driver.leases().reconcile(other.id, ())
        assert [delivery.receipt for delivery in back] == [lost.receipt]
        assert CODEC.decode(back[0].encoded, "elsewhere").id == id and CLOCK.now() > 0

    rig.run(scenario)


def test_an_outage_at_the_stop_is_waited_out_until_a_second_interrupt():
    rig = Rig(pool="threads")
    rig.tasks.add(lambda: 1, "note")
    down = Unreliable(rig.driver.commit(), "commit", failures=10**9, after=False)

    async def scenario(worker):
        await rig.send("note")
        await rig.until(lambda: down.calls > 2)
        worker.quiet()
        tried = down.calls
        await rig.until(lambda: down.calls > tried + 3)
        assert not rig.drained
        worker.abandon()

    begun = CLOCK.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leveret.worker.worker.LEAVE_SECONDS", 0.05)
        rig.run(scenario, commit=down)
    assert CLOCK.monotonic() - begun < 5


def test_a_broken_driver_ends_the_worker_with_its_error():
    rig = Rig(pool="threads")

    seen = []

    class Broken(Unreliable):
        def _failing(self, target):
            async def call(claim):
                seen.append(claim)
                raise ZeroDivisionError("a bug in the driver")

            return call

    async def scenario(worker):
        await rig.until(lambda: seen)

    with pytest.raises(ZeroDivisionError):
        rig.run(scenario, broker=Broken(rig.broker, "claim", failures=0, after=False))
