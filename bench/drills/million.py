"""`python -m bench million`: one worker process drains a million no-op tasks on RabbitMQ, and what the broker could give."""

import statistics
import time

from bench import rounds, trial
from bench.drills.verdicts import Figure, show
from bench.media import Servers, servers
from bench.raw import load, messages
from bench.raw.load import Load
from bench.systems import LEVERET, prepare, variant
from leveret.cli.benching import proc
from leveret.cli.benching.measure import WARM_UP

PER_SECOND = 1_000_000 / 60
TIMEOUT = 1800.0
ALONE = variant(LEVERET, LEVERET.name, options={"results": "0", "processes": "1"})


def run(tasks: int) -> None:
    """The limit is taken before and after, from a queue as long: it moves with the machine."""
    prepare((LEVERET,))
    with servers() as running:
        generator = load.build(running, messages.ours(running))
        limits = [limit(generator, tasks)]
        if not messages.speaks_amqp():
            raise SystemExit(
                "Leveret has no driver for amqp:// here: that is the broker's limit, and all there is to say"
            )
        ours = drain(running, tasks)
        limits.append(limit(generator, tasks))
    ceiling = statistics.mean(one["per_second"] for one in limits)
    share = ours["per_second"] / ceiling * 100
    print(f"the broker's limit: {ceiling:,.0f}/s; reached: {share:.0f} %")
    too_slow = f"the broker gives {ceiling:,.0f}/s" if ceiling < PER_SECOND else ""
    name = f"one process drains {tasks:,} tasks"
    figures = [Figure(name, ours["per_second"], PER_SECOND, "/s", at_least=True, or_else=too_slow)]
    content = {"figures": show(figures), "tasks": tasks, "share_percent": share, "ours": ours, "limit": limits}
    rounds.write("million", content)


def limit(generator: Load, tasks: int) -> trial.Figures:
    found = generator.consume(tasks, connections=1)
    print(f"  limit: consume    {rounds.describe(found)}", flush=True)
    return found


def drain(running: Servers, tasks: int) -> trial.Figures:
    with trial.bed(ALONE, running) as it:
        filled = it.run("send", str(tasks), "bulk", timeout=TIMEOUT)
        print(f"  filled in bulk    {rounds.describe(filled)}", flush=True)
        waiting = running.rabbitmq.memory_mb()
        started = time.perf_counter()
        with it.node() as node:
            node.wait_for(it.counter, int(tasks * WARM_UP), TIMEOUT)
            window = it.window(node)
            node.wait_for(it.counter, int(tasks * 0.9), TIMEOUT)
            size = proc.memory(node.pid).pss_mb
            node.wait_for(it.counter, tasks, TIMEOUT)
            found = window.close()
            seconds = time.perf_counter() - started
    print(f"  one process       {rounds.describe(found)}; {seconds:.1f} s with its start", flush=True)
    sizes = {"pss_mb": size, "broker_full_mb": waiting}
    return {**found, **sizes, "fill_per_second": filled["per_second"], "seconds_with_start": seconds}
