"""The app that `leveret bench` drives: tasks that do nothing but count. Broker and store come from LEVERET_BROKER_URL
and LEVERET_RESULT_BACKEND, so that producer and node use the same."""

from leveret.app import Leveret
from leveret.cli.benching.counter import from_environment

app = Leveret("leveret.cli.benching.tasks")
TICKER = from_environment()


@app.task(ignore_result=True)
def work(payload: str) -> None:
    """Count, store nothing."""
    if TICKER:
        TICKER.tick()


@app.task
def work_with_result(payload: str) -> int:
    """Count, store a small result."""
    if TICKER:
        TICKER.tick()
    return len(payload)
