"""Tasks that end, wait and die in every way that `explain` has a word for."""

import os
import signal
import time
from typing import Any

from leveret import Leveret, signature
from leveret.errors import Cancel, Reject

app = Leveret(
    "explained",
    broker=os.environ["EXPLAIN_BROKER"],
    backend=os.environ.get("EXPLAIN_RESULTS") or None,
    task_default_queue="served",
    result_extended=True,
)


@app.task
def add(x: int, y: int = 0) -> int:
    return x + y


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def fail() -> None:
    raise ValueError("no good")


@app.task(dead_letter=True)
def fail_for_good() -> None:
    raise ValueError("beyond repair")


@app.task(bind=True, max_retries=4)
def again(self: Any) -> None:
    raise self.retry(countdown=500, exc=ValueError("not yet"))


@app.task
def reject() -> None:
    raise Reject("not for me")


@app.task
def cancel() -> None:
    raise Cancel("no longer needed")


@app.task(ignore_result=True)
def ignored() -> None:
    return None


@app.task(bind=True)
def replaced(self: Any) -> Any:
    raise self.replace(signature(f"{__name__}.add", (1,), app=app).set(queue="nobody"))


@app.task
def kill() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@app.task(queue="halted")
def in_a_halted_queue() -> None: ...


@app.task
def halted() -> None: ...


@app.task
def sleep(seconds: float) -> None:
    time.sleep(seconds)
