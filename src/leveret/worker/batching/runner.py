"""One run of a batch task: a list of calls in, an outcome for each out."""

from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from functools import partial
from inspect import isawaitable
from typing import Any

import msgspec

from leveret.errors import MaxRetriesExceededError, Retry
from leveret.model.limiting.calls import Call, settle
from leveret.model.message import Message
from leveret.model.outcome import Finished, Outcome, Unstarted
from leveret.model.request import CURRENT
from leveret.model.task import TaskDefinition
from leveret.ports.executor import BatchJob, FinishedBatch, Job
from leveret.signals import task_prerun
from leveret.worker.runner import Runner, call_user_code
from leveret.worker.telling import around


class BatchRunner:
    """`ports.executor.Runs`: every other job is `runner`'s own.

    The run has one slot, one request (`task.request`: the first call's), and one round of surroundings and middleware;
    hooks, signals, retries and results are each call's own.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def run(self, job: Job, slot: int) -> Finished:
        if type(job) is not BatchJob:
            return self._runner.run(job, slot)
        runner = self._runner
        started = runner.clock.now()
        if not runner.may_begin(job, slot, started):
            return Finished(Unstarted(), started, 0.0)
        run = _Run(runner, job, started)
        try:
            with ExitStack() as stack:
                for one in runner.surroundings:
                    stack.enter_context(one.around(run.lead.request))
                try:
                    run.tell_before()
                    if run.calls:
                        settle(run.calls, run.call())
                except BaseException as error:
                    run.fail(error)
                    raise
        except BaseException as error:
            run.fail(error)
        return run.end(slot)

    async def run_async(self, job: Job, slot: int) -> Finished:
        if type(job) is not BatchJob:
            return await self._runner.run_async(job, slot)
        runner = self._runner
        started = runner.clock.now()
        if not runner.may_begin(job, slot, started):
            return Finished(Unstarted(), started, 0.0)
        run = _Run(runner, job, started)
        try:
            async with AsyncExitStack() as stack:
                for one in runner.surroundings:
                    await stack.enter_async_context(one.around_async(run.lead.request))
                try:
                    await run.atell_before()
                    if run.calls:
                        value = run.acall()
                        settle(run.calls, await value if isawaitable(value) else value)
                except BaseException as error:
                    run.fail(error)
                    raise
        except BaseException as error:
            run.fail(error)
        await around.awaited(run.tell_after())
        return run.end(slot)


class _Run:
    """Owned by the slot. `calls` are those the function gets."""

    def __init__(self, runner: Runner, job: BatchJob, started: float) -> None:
        self._runner, self._job, self._started = runner, job, started
        self._begun = runner.clock.monotonic()
        self.all = [Call(runner.request(one), job.definition.task) for one in job.jobs]
        self.lead = self.all[0]
        self.calls: Sequence[Call] = self.all
        self._token = CURRENT.set(self.lead.request)
        self._ended: list[Finished] | None = None
        self._waiting: around.Waiting = []
        self._raised: BaseException | None = None

    # Before

    def tell_before(self) -> None:
        if waiting := self._prerun():
            self._runner.complete(around.awaited(waiting))
        self._before_start()

    async def atell_before(self) -> None:
        await around.awaited(self._prerun())
        self._before_start()

    def _prerun(self) -> around.Waiting:
        if not task_prerun.receivers:
            return []
        return [one for call in self.all for one in around.before(call.request, self._job.definition)]

    def _before_start(self) -> None:
        """A call whose hook raises has failed; the others go on."""
        if "before_start" not in self._job.definition.hooks:
            return
        for job, call in zip(self._job.jobs, self.all, strict=True):
            try:
                self._runner.before(job)
            except Exception as error:
                call.fail(error)
        self.calls = [call for call in self.all if not call.settled]

    # The run

    def call(self) -> Any:
        return self._through("around_run")

    def acall(self) -> Any:
        return self._through("around_run_async")

    def _through(self, way: str) -> Any:
        definition, message = self._whole()
        call = partial(call_user_code, definition, message)
        for one in reversed(self._runner.middleware):
            call = partial(getattr(one, way), self.lead.request, call)
        return call()

    def _whole(self) -> tuple[TaskDefinition, Message]:
        definition = self._job.definition
        assert definition.run_batch is not None
        message = msgspec.structs.replace(self._job.message, args=(list(self.calls),), kwargs={}, settings=None)
        return replace(definition, run=definition.run_batch), message

    def fail(self, error: BaseException) -> None:
        """It came out of the function, or out of what is around it: of every call that is not settled."""
        if error is self._raised:
            return
        if all(call.settled for call in self.all):
            self._runner.hook_failed("the surroundings or the end", self.lead.request.message, error)
        self._raised = error
        for call in self.all:
            if not call.settled:
                call.fail(error if call is self.lead else self._own(error, call))

    def _own(self, error: BaseException, call: Call) -> BaseException:
        """`self.retry()` has looked at the first call's tries only."""
        policy, request = self._job.definition.retry, call.request
        if not isinstance(error, Retry) or policy.max_retries is None or request.retries < policy.max_retries:
            return error
        exceeded = MaxRetriesExceededError(f"Can't retry {request.task}[{request.id}]")
        exceeded.__cause__ = error.exc if isinstance(error.exc, BaseException) else None
        return exceeded

    # After

    def tell_after(self) -> around.Waiting:
        """Conclude each call; answers what receivers still want awaited."""
        # A share each: what all took together would be counted as often as there are calls.
        runtime = (self._runner.clock.monotonic() - self._begun) / len(self.all)
        heard = around.end_is_heard()
        self._ended = []
        for job, call in zip(self._job.jobs, self.all, strict=True):
            token = CURRENT.set(call.request)
            outcome, raised = self._outcome(job, call)
            if heard:
                self._waiting += around.after(job.definition, call.request, outcome, raised, runtime)
            CURRENT.reset(token)
            children, carried = tuple(call.request.children), call.request.carried
            self._ended.append(Finished(outcome, self._started, runtime, children, carried))
        return self._waiting

    def end(self, slot: int) -> Finished:
        if self._ended is None and (waiting := self.tell_after()):
            self._runner.complete(around.awaited(waiting))
        assert self._ended is not None
        CURRENT.reset(self._token)
        if self._runner.page is not None:
            self._runner.page.end(slot)
        first = self._ended[0]
        return FinishedBatch(first.outcome, first.started, first.runtime, first.children, each=tuple(self._ended))

    def _outcome(self, job: Job, call: Call) -> tuple[Outcome, BaseException | None]:
        error = call.error
        if error is None:
            try:
                return self._runner.success(job, call.request, call.value), None
            except BaseException as raised:  # a result that cannot be written
                error = raised
        return self._runner.outcome(error, job, call.request), error
