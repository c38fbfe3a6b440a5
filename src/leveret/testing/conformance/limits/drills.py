"""Many sessions at once, some of which are killed: the limits hold all the same."""

import random
import time

from leveret.model.delivery import SessionId
from leveret.model.limiting.gate import Answer, Entry, Exit, Open, Passed, RateBound, SlotBound, Wait
from leveret.testing.conformance.limits.rig import Rig, case

SLOTS, STEPS = 5, 400
LIMIT, BURST, PERIOD = 50, 5, 1.0


class TestManyAtOnce:
    @case
    async def test_never_more_than_its_slots_whoever_is_killed(self, rig: Rig) -> None:
        """A run counts until its session is reaped, as long as it may go on."""
        dice, bound = random.Random(8), SlotBound("c", SLOTS)
        alive = [f"d{n}" for n in range(12)]
        await rig.register(*alive)
        running: dict[str, str] = {}
        waiting = [f"t{n}" for n in range(300)]
        started, most = 0, 0

        for step in range(STEPS):
            session, kind = dice.choice(alive), dice.random()
            mine = [name for name, where in running.items() if where == session]
            if kind < 0.05:
                await rig.reap(session)
                for name in mine:
                    del running[name]
                    waiting.append(name)
                alive[alive.index(session)] = f"e{step}"
                await rig.register(f"e{step}")
            elif kind < 0.4 and mine:
                name = dice.choice(mine)
                await rig.over(name, bound, session=session, seconds=0.01)
                del running[name]
            else:
                asking = [waiting.pop(0) for _ in range(min(3, len(waiting)))]
                answers = await rig.enter(*asking, bounds=(bound,), session=session)
                for name, answer in zip(asking, answers, strict=True):
                    if isinstance(answer, Passed):
                        running[name] = session
                        started += 1
                    else:
                        waiting.append(name)
            most = max(most, len(running))
            await rig.advance(0.01)

        assert most == SLOTS
        assert started > STEPS / 10

    @case
    async def test_never_more_than_limit_and_burst_in_a_period_and_nearly_all_of_it_used(self, rig: Rig) -> None:
        """Three sessions with more to do than may start; each asks again when it was told to, a little late."""
        bound = RateBound("r", PERIOD / LIMIT, BURST)
        dice, starts = random.Random(50), list[float]()
        due = {f"t{n}": 0.0 for n in range(150)}
        elapsed, step = 0.0, 0.01
        begun = moment(rig)

        while (elapsed := moment(rig) - begun) < 2.5:
            coming = sorted((name for name, when in due.items() if when <= elapsed), key=due.__getitem__)[:20]
            entries = tuple(Entry(id=name, attempt=0, bounds=(bound,)) for name in coming)
            answers: tuple[Answer, ...] = ()
            if entries:
                answers = await rig.gate.enter(SessionId(dice.choice(("s1", "s2", "s3"))), entries)
            at = moment(rig) - begun
            for name, answer in zip(coming, answers, strict=True):
                match answer:
                    case Passed():
                        starts.append(at)
                        del due[name]
                        due[f"{name}'"] = at
                    case Wait(seconds=seconds) | Open(seconds=seconds):
                        due[name] = at + seconds + dice.random() * 0.02
                    case _:
                        raise AssertionError(answer)
            await rig.advance(step)

        # The clock of the server is not ours: what is seen here may be off by a step and an answer's way.
        slack = 1 if not rig.real_time else 5
        for first in starts:
            assert sum(first <= start < first + PERIOD for start in starts) <= LIMIT + BURST + slack
        assert len(starts) >= 0.95 * LIMIT * 2.4
        await rig.gate.leave(SessionId("s1"), tuple(Exit(id=n, bounds=(bound,), outcome="none") for n in due), {})
        assert rig.insight.states(10) == ()


def moment(rig: Rig) -> float:
    return time.monotonic() if rig.real_time else rig.clock.now()
