"""What the peers with compositions share: the verbs of `python p_canvas_NAME.py`.

A peer file defines
    chord(count) -> handle     send a chord of no-op members and its body
    group(count) -> handle     send a group
    chain(count) -> handle     send a chain
    call() -> handle           one plain task
    worker() -> argv
where a handle has `get(timeout=...)`. Sent and waited for are timed apart. Run as `... chord|group|chain N | worker`.
"""

import importlib
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 110
WARM_CALLS = 20


def main(peer: str) -> None:
    # Imported under its own name: tasks are then named `p_x.member`, never `__main__.member`.
    module: Any = importlib.import_module(peer)
    match sys.argv[1:]:
        case ["worker"]:
            argv = module.worker()
            os.chdir(Path(__file__).parent)
            os.execv(argv[0], argv)
        case [what, count]:
            # Connections are made, and all processes of the node are up.
            for waiting in [module.call() for _ in range(WARM_CALLS)]:
                waiting.get(timeout=SECONDS)
            module.chord(10).get(timeout=SECONDS)
            print(json.dumps(timed(getattr(module, what), what, int(count))))


def timed(send: Any, what: str, count: int) -> dict[str, float]:
    cpu, started = time.process_time(), time.perf_counter()
    handle = send(count)
    sent, used = time.perf_counter() - started, time.process_time() - cpu
    answer = handle.get(timeout=SECONDS)
    took = time.perf_counter() - started
    figures = {
        "tasks": count,
        "sent_seconds": sent,
        "seconds": took,
        "sent_per_second": count / sent,
        "per_second": count / took,
        "cpu_ms_per_1k": used / count * 1e6,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if what == "chord":
        # The body tells when it began, and the last member's end: clocks of one machine.
        members, body_after = answer
        assert members == count, f"{members} members of {count}"
        figures["body_after_seconds"] = body_after
    elif what == "chain":
        assert answer == count, f"a chain of {count} answered {answer}"
    else:
        assert len(answer) == count, f"{len(answer)} answers of {count}"
    return figures
