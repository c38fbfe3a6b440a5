import asyncio
import random

import pytest

from leveret.errors import OperationalError, PublishUnknown
from leveret.testing.clock import SimClock
from leveret.testing.faults import Fault, Faults, Plan, Wire
from leveret.testing.loop import run_virtual


class Port:
    name = "a port"

    def __init__(self):
        self.calls = []

    async def claim(self, number):
        self.calls.append(number)
        return number * 10

    async def publish(self, postings):
        self.calls.append(postings)


def run(scenario, *plans):
    """Run `scenario(proxy, port, wire, faults)` with these faults planned."""
    clock, port, wire = SimClock(), Port(), Wire("w1")
    faults = Faults(clock, random.Random(1), list(plans))
    return run_virtual(scenario(faults.proxy(port, wire), port, wire, faults), clock), port, faults


def plan(fault, *, at=0.0, verb=None, seconds=3.0, late=False):
    return Plan(at=at, fault=fault, verb=verb, seconds=seconds, late=late)


async def one_claim(proxy, port, wire, faults):
    try:
        return await proxy.claim(4)
    except OperationalError as error:
        return error


def test_without_faults_calls_and_attributes_pass():
    async def scenario(proxy, port, wire, faults):
        assert proxy.name == "a port"
        return await proxy.claim(4)

    assert run(scenario)[0] == 40


def test_a_dropped_request_is_not_executed():
    answer, port, faults = run(one_claim, plan(Fault.DROP_REQUEST))

    assert isinstance(answer, OperationalError)
    assert port.calls == []
    assert faults.struck[Fault.DROP_REQUEST] == 1


def test_a_dropped_reply_is_executed_and_fails():
    answer, port, _ = run(one_claim, plan(Fault.DROP_REPLY))

    assert isinstance(answer, OperationalError)
    assert port.calls == [4]


def test_a_lost_publish_is_unknown():
    async def scenario(proxy, port, wire, faults):
        with pytest.raises(PublishUnknown):
            await proxy.publish(("a",))

    run(scenario, plan(Fault.DROP_REPLY))


@pytest.mark.parametrize("late", [False, True])
def test_a_doubled_call_is_executed_twice_and_answered_once(late):
    async def scenario(proxy, port, wire, faults):
        answer = await proxy.claim(4)
        await asyncio.sleep(5)
        return answer

    answer, port, _ = run(scenario, plan(Fault.DUPLICATE, late=late))

    assert (answer, port.calls) == (40, [4, 4])


def test_a_delayed_call_arrives_later():
    async def scenario(proxy, port, wire, faults):
        await proxy.claim(4)
        return asyncio.get_running_loop().time()

    assert run(scenario, plan(Fault.DELAY, seconds=3.0))[0] >= 3.0


@pytest.mark.parametrize(("late", "executed"), [(False, []), (True, [4])])
def test_the_killed_never_hear_an_answer(late, executed):
    async def scenario(proxy, port, wire, faults):
        killed = []
        wire.on_crash = lambda: killed.append(wire.name)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(proxy.claim(4), 100)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(proxy.claim(5), 100)
        return killed

    killed, port, _ = run(scenario, plan(Fault.CRASH, late=late))

    assert (killed, port.calls) == (["w1"], executed)


def test_the_paused_go_on_afterwards():
    async def scenario(proxy, port, wire, faults):
        answer = await proxy.claim(4)
        return answer, asyncio.get_running_loop().time()

    (answer, at), _, _ = run(scenario, plan(Fault.PAUSE, seconds=30.0))

    assert answer == 40
    assert at >= 30.0


def test_the_cut_off_get_errors_until_it_is_over():
    async def scenario(proxy, port, wire, faults):
        with pytest.raises(OperationalError):
            await proxy.claim(4)
        await asyncio.sleep(10)
        return await proxy.claim(5)

    answer, port, _ = run(scenario, plan(Fault.PARTITION, seconds=8.0))

    assert (answer, port.calls) == (50, [5])


def test_a_silent_server_answers_nobody():
    async def scenario(proxy, port, wire, faults):
        other = faults.proxy(port, Wire("w2"))
        with pytest.raises(OperationalError):
            await proxy.claim(4)
        with pytest.raises(OperationalError):
            await other.claim(5)

    assert run(scenario, plan(Fault.OUTAGE, seconds=8.0))[1].calls == []


def test_a_fault_waits_for_its_verb_but_not_for_ever():
    async def scenario(proxy, port, wire, faults):
        await proxy.claim(1)
        with pytest.raises(PublishUnknown):
            await proxy.publish(("a",))
        await asyncio.sleep(Faults.patience + 1)
        with pytest.raises(OperationalError):
            await proxy.claim(2)

    _, port, _ = run(
        scenario, plan(Fault.DROP_REQUEST, verb="publish"), plan(Fault.DROP_REQUEST, at=0.5, verb="never called")
    )
    assert port.calls == [1]
