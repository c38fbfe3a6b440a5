"""Signals around a run, sent on the thread that runs it, while it is still the current task."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from typing import Any

from leveret.model.outcome import Cancelled, Failed, Ignored, Outcome, Rejected, Retried, Succeeded
from leveret.model.request import Request
from leveret.model.state import FAILURE, IGNORED, REJECTED, RETRY, REVOKED, SUCCESS
from leveret.model.task import TaskDefinition
from leveret.signals import Signal, task_failure, task_postrun, task_prerun, task_retry, task_success

log = logging.getLogger("leveret.worker")

Complete = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine on the loop for user code and waits for it."""
Waiting = list[Awaitable[Any]]
"""What receivers that are coroutine functions answered: still to be awaited."""

STATES: dict[type[Any], str] = {
    Succeeded: SUCCESS,
    Failed: FAILURE,
    Retried: RETRY,
    Ignored: IGNORED,
    Rejected: REJECTED,
    Cancelled: REVOKED,
}


def before(request: Request, definition: TaskDefinition) -> Waiting:
    """`request` is not among Celery's arguments: calls of a batch task have one each, and `task.request` is one."""
    task, message = definition.task, request.message
    call = {"task_id": message.id, "task": task, "args": message.args, "kwargs": message.kwargs}
    return _sent(task_prerun, task, {**call, "request": request})


def end_is_heard() -> bool:
    """Whether anybody listens to how runs end."""
    return bool(task_postrun.receivers or task_success.receivers or task_failure.receivers or task_retry.receivers)


def after(
    definition: TaskDefinition, request: Request, outcome: Outcome, error: BaseException | None, runtime: float
) -> Waiting:
    """Success, failure or retry, then postrun, as Celery. `error` is what the run raised."""
    task, message = definition.task, request.message
    call = {"args": message.args, "kwargs": message.kwargs}
    retval: Any = error
    waiting: Waiting = []
    match outcome:
        case Succeeded(value):
            retval = value
            waiting += _sent(task_success, task, {"result": value, "runtime": runtime})
        case Failed(info):
            failed = error.__cause__ if error is not None and info.type == type(error.__cause__).__name__ else error
            retval = failed
            waiting += _sent(
                task_failure,
                task,
                {
                    "task_id": message.id,
                    "exception": failed,
                    **call,
                    "traceback": getattr(failed, "__traceback__", None),
                    "einfo": ExceptionInfo(failed, info.traceback),
                },
            )
        case Retried(error=cause):
            einfo = ExceptionInfo(error, "" if cause is None else cause.traceback)
            waiting += _sent(task_retry, task, {"request": request, "reason": error, "einfo": einfo})
        case _:
            pass
    ended = {"task_id": message.id, "task": task, **call, "retval": retval}
    return waiting + _sent(task_postrun, task, {**ended, "state": STATES.get(type(outcome), RETRY)})


def _sent(signal: Signal, sender: Any, named: dict[str, Any]) -> Waiting:
    if not signal.receivers:
        return []
    return [answer for _, answer in signal.send(sender, **named) if isawaitable(answer)]


class ExceptionInfo:
    """What hooks and receivers get as `einfo`, under Celery's names."""

    def __init__(self, error: BaseException | None, text: str) -> None:
        self.type, self.exception, self.traceback = type(error), error, text
        self.internal = False

    def __str__(self) -> str:
        return self.traceback

    def __repr__(self) -> str:
        return f"<ExceptionInfo: {self.exception!r}>"


async def awaited(waiting: Waiting) -> None:
    """Let the coroutines among the receivers finish; what they raise is logged."""
    for answer in waiting:
        try:
            await answer
        except Exception:
            log.exception("an async signal handler raised")


def complete_alone(work: Coroutine[Any, Any, Any]) -> Any:
    """Where a process has no loop for user code. The thread's own loop, if it has one, stays its own."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()
