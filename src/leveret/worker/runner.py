"""One run: user code in, an outcome out. Nothing a task raises gets past this file."""

import logging
import traceback
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from typing import Any

from msgspec.structs import replace

from leveret.errors import Cancel, EncodeError, Ignore, MaxRetriesExceededError, Reject, Retry, Snooze
from leveret.logic import retry as retries
from leveret.logic.canvas.errbacks import ERRBACK, told
from leveret.logic.codec import Codec
from leveret.logic.recording import is_ignored
from leveret.logic.results import error_info
from leveret.model.message import Message, tries
from leveret.model.outcome import (
    Cancelled,
    Failed,
    Finished,
    Ignored,
    Outcome,
    Rejected,
    Replaced,
    Retried,
    Snoozed,
    Succeeded,
    Unstarted,
)
from leveret.model.request import CURRENT, Request
from leveret.model.state import FAILURE, RETRY, SUCCESS
from leveret.model.task import TaskDefinition
from leveret.ports.clock import Clock
from leveret.ports.executor import Job
from leveret.ports.middleware import Middleware
from leveret.ports.slots import SlotPage
from leveret.ports.surrounding import Surrounding
from leveret.signals import task_prerun
from leveret.worker.telling import around
from leveret.worker.telling.around import Complete, ExceptionInfo

log = logging.getLogger("leveret.worker")

Ended = tuple[Outcome, BaseException | None]
"""How a run ended, and what it raised."""

HookFailed = Callable[[str, Message, BaseException], None]
"""(hook's name, message, error): a hook after the run raised; it changes nothing."""


@dataclass(slots=True, kw_only=True)
class Runner:
    """Runs jobs on whatever thread calls it; one instance per worker process."""

    codec: Codec
    clock: Clock
    page: SlotPage | None = None
    hostname: str = ""
    lifespan: Any = None
    """What the app's lifespan yielded; set before the first claim."""
    surroundings: tuple[Surrounding, ...] = ()
    """What holds around every run, the outermost first; set before the first claim."""
    middleware: tuple[Middleware, ...] = ()
    """The app's own, the outermost first."""
    complete: Complete = around.complete_alone
    """For receivers of signals that are coroutine functions, around tasks that are none."""
    hook_failed: HookFailed = field(default=lambda name, message, error: _log_hook(name, message, error))

    def run(self, job: Job, slot: int) -> Finished:
        """Run a plain function to its outcome; never raises."""
        started = self.clock.now()
        if not self.may_begin(job, slot, started):
            return Finished(Unstarted(), started, 0.0)
        request = self.request(job)
        token = CURRENT.set(request)
        begun = self.clock.monotonic()
        if self.surroundings:
            outcome = self._run_surrounded(job, request)
        else:
            outcome = self._run_plain(job, request, begun)[0]
        runtime = self.clock.monotonic() - begun
        CURRENT.reset(token)
        if self.page is not None:
            self.page.end(slot)
        return Finished(outcome, started, runtime, tuple(request.children), request.carried)

    async def run_async(self, job: Job, slot: int) -> Finished:
        """As `run`, for coroutine functions; runs on the loop for user code."""
        started = self.clock.now()
        if not self.may_begin(job, slot, started):
            return Finished(Unstarted(), started, 0.0)
        request = self.request(job)
        token = CURRENT.set(request)
        begun = self.clock.monotonic()
        if self.surroundings:
            outcome = await self._run_async_surrounded(job, request)
        else:
            outcome = (await self._run_async_plain(job, request))[0]
        runtime = self.clock.monotonic() - begun
        CURRENT.reset(token)
        if self.page is not None:
            self.page.end(slot)
        return Finished(outcome, started, runtime, tuple(request.children), request.carried)

    def _run_plain(self, job: Job, request: Request, begun: float) -> Ended:
        raised = None
        try:
            if task_prerun.receivers and (waiting := around.before(request, job.definition)):
                self.complete(around.awaited(waiting))
            self.before(job)
            call = call_user_code if not self.middleware else self._call_through
            outcome = self.success(job, request, call(job.definition, job.message))
        except BaseException as error:
            raised, outcome = error, self.outcome(error, job, request)
        if around.end_is_heard():
            runtime = self.clock.monotonic() - begun
            if waiting := around.after(job.definition, request, outcome, raised, runtime):
                self.complete(around.awaited(waiting))
        return outcome, raised

    async def _run_async_plain(self, job: Job, request: Request) -> Ended:
        begun, raised = self.clock.monotonic(), None
        try:
            if task_prerun.receivers:
                await around.awaited(around.before(request, job.definition))
            self.before(job)
            called = call_user_code if not self.middleware else self._acall_through
            value = called(job.definition, job.message)
            outcome = self.success(job, request, await value if isawaitable(value) else value)
        except BaseException as error:
            raised, outcome = error, self.outcome(error, job, request)
        if around.end_is_heard():
            runtime = self.clock.monotonic() - begun
            await around.awaited(around.after(job.definition, request, outcome, raised, runtime))
        return outcome, raised

    def _run_surrounded(self, job: Job, request: Request) -> Outcome:
        stack = ExitStack()
        ended: BaseException | None = None
        try:
            for one in self.surroundings:
                stack.enter_context(one.around(request))
        except BaseException as error:
            outcome, ended = self.outcome(error, job, request), error
        else:
            outcome, ended = self._run_plain(job, request, self.clock.monotonic())
        try:
            stack.__exit__(*_raised(ended))
        except BaseException as error:
            if error is not ended:
                self.hook_failed("the surroundings", job.message, error)
        return outcome

    async def _run_async_surrounded(self, job: Job, request: Request) -> Outcome:
        stack = AsyncExitStack()
        ended: BaseException | None = None
        try:
            for one in self.surroundings:
                await stack.enter_async_context(one.around_async(request))
        except BaseException as error:
            outcome, ended = self.outcome(error, job, request), error
        else:
            outcome, ended = await self._run_async_plain(job, request)
        try:
            await stack.__aexit__(*_raised(ended))
        except BaseException as error:
            if error is not ended:
                self.hook_failed("the surroundings", job.message, error)
        return outcome

    def _call_through(self, definition: TaskDefinition, message: Message) -> Any:
        """By way of all middleware, the first one first."""
        call, request = partial(call_user_code, definition, message), CURRENT.get()
        for one in reversed(self.middleware):
            call = partial(one.around_run, request, call)  # type: ignore[arg-type] # a run has a request
        return call()

    def _acall_through(self, definition: TaskDefinition, message: Message) -> Any:
        call, request = partial(call_user_code, definition, message), CURRENT.get()
        for one in reversed(self.middleware):
            call = partial(one.around_run_async, request, call)  # type: ignore[arg-type] # a run has a request
        return call()

    def may_begin(self, job: Job, slot: int, started: float) -> bool:
        """Write the page, unless the supervisor holds it."""
        page = self.page
        if page is not None:
            if page.hold:
                return False
            page.begin(slot, job, started)
        return True

    def before(self, job: Job) -> None:
        definition, message = job.definition, job.message
        if "before_start" in definition.hooks:
            definition.task.before_start(message.id, message.args, message.kwargs)

    def request(self, job: Job) -> Request:
        return Request(job.message, hostname=self.hostname, redelivered=job.count > 1, lifespan=self.lifespan)

    def success(self, job: Job, request: Request, value: Any) -> Outcome:
        message, definition = job.message, job.definition
        if request.pending_retry is not None:
            raise request.pending_retry
        if is_ignored(message, definition) and not message.embed:
            outcome = Succeeded(value)
        else:
            outcome = Succeeded(value, self.codec.encode_value(value))
        if definition.hooks:
            self._after(message, definition, "on_success", SUCCESS, value, None)
        return outcome

    def outcome(self, error: BaseException, job: Job, request: Request) -> Outcome:
        message, definition = job.message, job.definition
        match error:
            case Retry():
                return self._retry(error, message, definition)
            case Ignore():
                return Ignored() if error.replacement is None else Replaced(error.replacement)
            case Reject():
                return Rejected(str(error.reason), error.requeue)
            case Snooze():
                return Snoozed(error.seconds)
            case Cancel():
                return Cancelled(error.reason)
            case MaxRetriesExceededError() if error.__cause__ is not None:
                # `self.retry(exc=error)` past the limit, uncaught: the error itself is the outcome, as with Celery.
                return self._failure(error.__cause__, message, definition)
        policy = definition.retry
        # A value that cannot be written will not be writable next time either.
        wanted = retries.retries_on(policy, error) and not isinstance(error, EncodeError)
        if wanted and not retries.exhausted(policy, tries(message)):
            delay = retries.delay(policy, tries(message), self.clock.jitter())
            return self._retried(Retried(delay=delay, error=_info(error)[0]), error, message, definition)
        return self._failure(error, message, definition)

    def _retry(self, error: Retry, message: Message, definition: TaskDefinition) -> Outcome:
        outcome = getattr(error, "outcome", None)
        if not isinstance(outcome, Retried):
            # Raised by hand, without `self.retry()`.
            when = error.when if isinstance(error.when, int | float) else definition.retry.default_retry_delay
            outcome = Retried(delay=float(when), error=None if error.exc is None else _info(error.exc)[0])
        return self._retried(outcome, error.exc or error, message, definition)

    def _retried(self, outcome: Retried, error: BaseException, message: Message, definition: TaskDefinition) -> Outcome:
        if definition.hooks:
            self._after(message, definition, "on_retry", RETRY, error, ExceptionInfo(error, _info(error)[1]))
        return replace(outcome, expected=True) if isinstance(error, definition.throws) else outcome

    def _failure(self, error: BaseException, message: Message, definition: TaskDefinition) -> Outcome:
        info, text = _info(error)
        if definition.hooks:
            self._after(message, definition, "on_failure", FAILURE, error, ExceptionInfo(error, text))
        return Failed(info, isinstance(error, definition.throws))

    def _after(
        self,
        message: Message,
        definition: TaskDefinition,
        hook: str,
        status: str,
        value: Any,
        einfo: ExceptionInfo | None,
    ) -> None:
        """Call the hooks that follow a run; what they raise is reported and changes nothing (as Celery 5.7)."""
        task, given = definition.task, (message.id, message.args, message.kwargs)
        last = () if einfo is None else (einfo,)
        try:
            if hook in definition.hooks:
                getattr(task, hook)(value, *given, *last)
        except BaseException as error:
            self.hook_failed(hook, message, error)
        try:
            if "after_return" in definition.hooks:
                task.after_return(status, value, *given, einfo)
        except BaseException as error:
            self.hook_failed("after_return", message, error)


def call_user_code(definition: TaskDefinition, message: Message) -> Any:
    """The frame around user code: a soft limit's signal raises only below it (`executors.inline.USER_CODE`)."""
    args = told(message.args) if message.settings and message.settings.get(ERRBACK) else message.args
    if definition.bind:
        return definition.run(definition.task, *args, **message.kwargs)
    return definition.run(*args, **message.kwargs)


def _log_hook(hook: str, message: Message, error: BaseException) -> None:
    log.error("%s of task %s[%s] raised; its outcome stands", hook, message.task, message.id, exc_info=error)


def _raised(error: BaseException | None) -> tuple[Any, Any, Any]:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


def _info(error: BaseException) -> Any:
    # Our own frames say nothing to the reader of a traceback.
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames))
    return error_info(error, text), text
