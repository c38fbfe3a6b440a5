"""`python -m bench mixed`: short tasks behind long ones, fair order, and how much of the CPU is the tasks' own."""

import random

from bench import media, rounds, trial
from bench.drills.runs import MIXED, SHORT, longest_wait, out_of_order, play
from bench.drills.verdicts import Figure, show
from bench.systems import LEVERET, prepare, variant

LONG = 0.4


def run(broker: str) -> None:
    prepare((MIXED, LEVERET))
    order = [SHORT] * 4000 + [LONG] * 100
    random.Random(8).shuffle(order)
    with media.medium(broker) as medium:
        runs, took = play(order, 2, medium)
        single, _ = play([SHORT] * 500, 1, medium)
        cpu = trial.drain(variant(LEVERET, LEVERET.name, tasks=4000), medium, spin="0.001")
    figures = [
        Figure("4,000 x 1 ms and 100 x 400 ms, time over the ideal", took / (sum(order) / 2), 1.15, "x"),
        Figure("longest a short task waited while a slot was free", longest_wait(runs, slots=2) * 1000, 100, "ms"),
        Figure("one slot: tasks that started out of order", float(out_of_order(single)), 0, "tasks"),
        Figure("1 ms of CPU a task: share of the node's CPU", 1e5 / cpu["cpu_ms_per_1k"], 90, "%", at_least=True),
    ]
    content = {"figures": show(figures), "seconds": took, "ideal": sum(order) / 2}
    rounds.write(rounds.named("mixed", medium.name), content)
