"""What a task can do while it runs: see its request, ask for another try, tell its progress."""

import logging
import sys
import traceback
import uuid as uuids
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from leveret.client import options as calls
from leveret.client.client import Client
from leveret.errors import MaxRetriesExceededError, Retry
from leveret.logic.results import error_info, write_meta
from leveret.model.message import Message, TaskId
from leveret.model.outcome import Retried
from leveret.model.request import CURRENT, Request
from leveret.model.settlement import Record


def direct_request(name: str) -> Request:
    """The request of a function called as a function: no id, `called_directly`."""
    request = Request(Message(id=None, task=name))  # type: ignore[arg-type] # Celery's `request.id` is None here
    request.called_directly = True
    return request


def is_own_entry(request: Request, name: str) -> bool:
    """Whether `Task.__call__` is reached by the run itself (an overridden `__call__` calling up), the first time."""
    if request.task != name or request.__dict__.get("entered"):
        return False
    request.entered = True  # type: ignore[attr-defined] # an attribute of this run, as user code may add too
    return True


def raise_unless_running(request: Request, error: BaseException | None) -> None:
    """Outside a run there is nothing to retry: raise what happened, as Celery does."""
    if not request.called_directly:
        return
    if error is not None:
        raise error
    pending = sys.exc_info()[1]
    if pending is not None:
        raise pending
    raise Retry("Task can be retried")


def check_retries(request: Request, error: BaseException | None, most: int | None) -> None:
    """Refuse a retry past the limit; `error` is the cause, which is what callers and hooks see if nobody catches it."""
    if most is None or request.retries < most:
        return
    exceeded = MaxRetriesExceededError(
        f"Can't retry {request.task}[{request.id}] args:{request.args} kwargs:{request.kwargs}",
        task_args=tuple(request.args),
        task_kwargs=dict(request.kwargs),
    )
    if error is None:
        raise exceeded
    raise exceeded from error


def retry_signal(
    request: Request,
    error: BaseException | None,
    delay: float,
    arguments: tuple[Iterable[Any] | None, Mapping[str, Any] | None],
    options: Mapping[str, Any],
) -> Retry:
    """The exception that tells the runner to try again; it carries the outcome as a value."""
    args, kwargs = arguments
    signal = Retry(exc=error, when=delay)
    signal.outcome = Retried(
        delay=delay,
        error=None if error is None else error_info(error, "".join(traceback.format_exception(error))),
        args=None if args is None else tuple(args),
        kwargs=None if kwargs is None else dict(kwargs),
        options=options,
    )
    return signal


def retry_delay(client: Client, eta: datetime | None, countdown: calls.Seconds | None, default: calls.Seconds) -> float:
    """Seconds until the next try: `eta`, else `countdown`, else the task's own delay."""
    if eta is not None:
        return max(0.0, calls.moment(eta, client.options.naive_zone, "eta") - client.clock.now())
    return calls.seconds(default if countdown is None else countdown)


def update_state(
    self: Any, task_id: str | None = None, state: str | None = None, meta: Any = None, **more: Any
) -> None:
    """Tell how far the run is (`update_state(state="PROGRESS", meta={"done": 3})`); readers see it as `info`."""
    client = self.app.client
    record = progress_record(client, CURRENT.get(), task_id or self.request.id, state or "PROGRESS", meta)
    client.backend().store((record,))


async def aupdate_state(
    self: Any, task_id: str | None = None, state: str | None = None, meta: Any = None, **more: Any
) -> None:
    """As `update_state`, on the running loop's connection."""
    client = self.app.client
    record = progress_record(client, CURRENT.get(), task_id or self.request.id, state or "PROGRESS", meta)
    await client.backend_of_loop().store((record,))


def progress_record(client: Client, request: Request | None, id: str, state: str, meta: Any) -> Record:
    """What `update_state` stores: a state under the running attempt, never a terminal one."""
    attempt = 0 if request is None or request.id != id else request.retries
    return Record(
        id=TaskId(id),
        attempt=attempt,
        state=state,
        meta=write_meta(client.codec, id=id, status=state, result=meta),
        expires_after=client.options.result_expires,
        reply_to=None if request is None or request.id != id else request.message.reply_to,
    )


def get_task_logger(name: str) -> logging.Logger:
    """A logger for use in tasks: its records have the running task's `task_name` and `task_id`."""
    logger = logging.getLogger(name)
    if logger.parent is logging.root and not name.startswith("leveret"):
        logger.parent = logging.getLogger("leveret.task")
    if _name_task not in logger.filters:
        logger.addFilter(_name_task)
    return logger


def _name_task(record: logging.LogRecord) -> bool:
    request = CURRENT.get()
    record.task_name, record.task_id = ("???", "???") if request is None else (request.task, request.id)
    return True


def uuid() -> str:
    """A fresh task id, for those who choose it themselves (`task_id=uuid()`)."""
    return str(uuids.uuid4())
