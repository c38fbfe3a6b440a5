"""`python -m bench limits`: what limits cost a worker process, in CPU per task, and what they cost where none is used.

A task without limits, one with a rate, one with a concurrency, one with both, so wide that nobody ever waits; and the
first of them with the code of another checkout (`--before PATH/src`). The task does nothing, so that this is the worst
case.
"""

from bench import rounds
from bench.drills.processor import Kind, extra, medians, more, rounds_of
from bench.drills.verdicts import Figure, show

TASKS = 20_000
MOST_MICROSECONDS = 25.0
MOST_PERCENT = 2.0
"""Unused; what two runs of the same code may differ by."""
TASK = """
def limits():
    from leveret import Concurrency, Rate
    rate, slots = Rate("1000000/s", burst=1000000), Concurrency(1000000)
    return {"rate": rate, "concurrency": slots, "both": (rate, slots)}[os.environ["LIMITED_KIND"]]

@app.task(name="nothing", **({"limits": limits()} if "LIMITED_KIND" in os.environ else {}))
def nothing(number):
    return number
"""
LIMITED = ("rate", "concurrency", "both")
KINDS = {"none": Kind()} | {name: Kind(environment={"LIMITED_KIND": name}) for name in LIMITED}


def run(count: int, broker: str, before: str | None) -> None:
    kinds = KINDS | ({"before": Kind(environment={"PYTHONPATH": before})} if before else {})
    found = rounds_of(kinds, count, TASKS, broker, TASK)
    none = found["none"]
    figures = [Figure(f"{n}: more CPU per task", extra(found[n], none), MOST_MICROSECONDS, " us") for n in LIMITED]
    if before:
        share = more(none, found["before"])
        figures.append(Figure("unused: more CPU per task than before", share, MOST_PERCENT, "%"))
    rounds.write(f"limits-cost-{broker}", {"figures": show(figures), "us_per_task": medians(found), "rounds": found})
