"""A task run here and now (`apply`, `task_always_eager`), its arguments and result serialised as a broker would.

One `EagerRun` decides; `apply` and `aapply` only call the function. A retry follows at once, without its delay.
"""

import inspect
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from leveret.client.client import Client
from leveret.client.loops import running_loop
from leveret.client.signature import Signature
from leveret.client.specs import from_spec
from leveret.client.tasks.eager_result import EagerResult
from leveret.errors import Cancel, Ignore, MaxRetriesExceededError, Reject, Retry, Snooze, TaskRevokedError
from leveret.logic import retry as retries
from leveret.logic.canvas.errbacks import takes_error
from leveret.logic.following import again, changed
from leveret.logic.results import error_info, write_meta
from leveret.model import state as states
from leveret.model.message import Message
from leveret.model.outcome import Retried
from leveret.model.request import CURRENT, Request
from leveret.model.settlement import Record
from leveret.model.signature import SignatureSpec
from leveret.model.task import TaskDefinition

T = TypeVar("T")


def apply(
    task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any], throw: bool | None
) -> EagerResult[Any]:
    """Run on the calling thread; a coroutine task gets a loop of its own for the call."""
    run = EagerRun(task, args, kwargs, options)
    with ExitStack() as stack:
        for one in task.app.surroundings.around:
            stack.enter_context(one.around(run.request))
        return _apply(run, throw)


def _apply(run: "EagerRun", throw: bool | None) -> EagerResult[Any]:
    while True:
        token = run.begin()
        try:
            value = _finished(run.task, run.call())
            once_more = run.returned(value)
        except Exception as error:
            once_more = run.raised(error)
        finally:
            CURRENT.reset(token)
        if not once_more:
            return run.result(throw)


async def aapply(
    task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any], throw: bool | None
) -> EagerResult[Any]:
    """Run on the running loop."""
    run = EagerRun(task, args, kwargs, options)
    async with AsyncExitStack() as stack:
        for one in task.app.surroundings.around:
            await stack.enter_async_context(one.around_async(run.request))
        return await _aapply(run, throw)


async def _aapply(run: "EagerRun", throw: bool | None) -> EagerResult[Any]:
    while True:
        token = run.begin()
        try:
            value = run.call()
            once_more = run.returned(await value if inspect.isawaitable(value) else value)
        except Exception as error:
            once_more = run.raised(error)
        finally:
            CURRENT.reset(token)
        if not once_more:
            return run.result(throw)


def _finished(task: Any, value: Any) -> Any:
    if not inspect.iscoroutine(value):
        return value
    if running_loop() is not None:
        value.close()
        raise RuntimeError(f"{task.name} is an `async def` and this thread runs a loop: use `await task.aapply(...)`")
    return _run_coroutine(value)


def _run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(coroutine)


class ExceptionInfo:
    """What hooks get as `einfo`, under Celery's names."""

    def __init__(self, error: BaseException) -> None:
        self.type, self.exception = type(error), error
        self.traceback = "".join(traceback.format_exception(error))
        self.internal = False

    def __str__(self) -> str:
        return self.traceback


@dataclass(slots=True)
class _Ended:
    state: str
    value: Any
    traceback: str | None = None


class EagerRun:
    """One call from its first attempt to its end; owned by the caller of `apply`."""

    def __init__(self, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        self.task = task
        self._client: Client = task.app.client
        self._definition: TaskDefinition = task.definition
        message = self._client.compose(task.name, args, kwargs, options, self._definition)
        self._message = _through_the_wire(self._client, message)
        self.request = Request(self._message, is_eager=True)
        self._end: _Ended | None = None

    def begin(self) -> Any:
        """Enter the next attempt; answers the token to leave it with."""
        self.request = Request(self._message, hostname="eager", is_eager=True)
        return CURRENT.set(self.request)

    def call(self) -> Any:
        message = self._message
        self._hook("before_start", message.id, message.args, message.kwargs)
        return self._definition.run(*message.args, **message.kwargs)

    def returned(self, value: Any) -> bool:
        """The function came back; True: try again (`retry(throw=False)`)."""
        if self.request.pending_retry is not None:
            return self.raised(self.request.pending_retry)
        codec = self._client.codec
        value = codec.decode_value(codec.encode_value(value))
        message = self._message
        self._end = _Ended(states.SUCCESS, value)
        self._hook("on_success", value, message.id, message.args, message.kwargs)
        self._after(states.SUCCESS, value, None)
        self._follow(message.embed.callbacks, (value,))
        if message.embed.chain:
            self._continue(message.embed.chain, value)
        return False

    def raised(self, error: BaseException) -> bool:
        """The function raised; True: try again."""
        match error:
            case Retry() if isinstance(error.outcome, Retried):
                return self._again(error.outcome, error.exc)
            case Ignore() if error.replacement is not None:
                instead = Signature.from_dict(from_spec(error.replacement), app=self.task.app).apply()
                self._end = _Ended(instead.state, instead.result, instead.traceback)
            case Ignore():
                self._end = _Ended(states.IGNORED, error)
            case Reject():
                self._end = _Ended(states.REJECTED, error)
            case Snooze() | Retry():
                self._end = _Ended(states.RETRY, error)
            case Cancel():
                self._end = _Ended(states.REVOKED, TaskRevokedError(error.reason))
            case _:
                return self._failed(error)
        return False

    def _failed(self, error: BaseException) -> bool:
        policy = self._definition.retry
        if isinstance(error, MaxRetriesExceededError) and error.__cause__ is not None:
            error = error.__cause__
        elif retries.retries_on(policy, error) and not retries.exhausted(policy, self._message.attempt):
            return self._again(Retried(delay=0.0), error)
        message, einfo = self._message, ExceptionInfo(error)
        self._end = _Ended(states.FAILURE, error, einfo.traceback)
        self._hook("on_failure", error, message.id, message.args, message.kwargs, einfo)
        self._after(states.FAILURE, error, einfo)
        self._tell(error, einfo)
        return False

    def _again(self, retried: Retried, error: BaseException | None) -> bool:
        message, now = self._message, self._client.clock.now()
        einfo = ExceptionInfo(error or Retry())
        self._hook("on_retry", error, message.id, message.args, message.kwargs, einfo)
        self._after(states.RETRY, error, einfo)
        following = again(changed(message, retried.options, now), now)
        if retried.args is not None:
            following = msgspec.structs.replace(following, args=retried.args)
        if retried.kwargs is not None:
            following = msgspec.structs.replace(following, kwargs=retried.kwargs)
        self._message = _through_the_wire(self._client, following)
        return True

    def _hook(self, name: str, *args: Any) -> None:
        if name in self._definition.hooks:
            getattr(self.task, name)(*args)

    def _after(self, state: str, value: Any, einfo: Any) -> None:
        message = self._message
        self._hook("after_return", state, value, message.id, message.args, message.kwargs, einfo)

    def _tell(self, error: BaseException, einfo: ExceptionInfo) -> None:
        app = self.task.app
        for spec in self._message.embed.errbacks:
            errback, definition = Signature.from_dict(from_spec(spec), app=app), app.definition(spec.task)
            if definition is not None and not spec.immutable and takes_error(definition, spec):
                errback(self.request, error, einfo.traceback)
            else:
                errback.apply((self._message.id,))

    def _follow(self, specs: tuple[SignatureSpec, ...], lead: tuple[Any, ...]) -> None:
        for spec in specs:
            Signature.from_dict(from_spec(spec), app=self.task.app).apply(lead)

    def _continue(self, chain: Sequence[SignatureSpec], value: Any) -> None:
        step = Signature.from_dict(from_spec(chain[-1]), app=self.task.app)
        step.apply((value,), chain=[from_spec(spec) for spec in chain[:-1]])

    def result(self, throw: bool | None) -> EagerResult[Any]:
        """What the caller gets; raises the failure where asked to (`throw`, `task_eager_propagates`)."""
        end = self._end
        assert end is not None
        if self._client.options.store_eager_result and end.state in states.READY_STATES:
            self._store(end)
        propagates = self._client.options.eager_propagates if throw is None else throw
        if propagates and end.state in states.PROPAGATE_STATES:
            raise end.value
        return EagerResult(self._message.id, end.value, end.state, end.traceback, self.task.name)

    def _store(self, end: _Ended) -> None:
        """Keep the outcome as a worker would (`task_store_eager_result`)."""
        message, client = self._message, self._client
        error = error_info(end.value, end.traceback or "") if isinstance(end.value, BaseException) else None
        value = None if error is not None else end.value
        meta = write_meta(
            client.codec, id=message.id, status=end.state, result=value, error=error, date_done=client.clock.now()
        )
        record = Record(
            id=message.id,
            attempt=message.attempt,
            state=end.state,
            meta=meta,
            terminal=True,
            expires_after=client.options.result_expires,
        )
        client.backend().store((record,))


def _through_the_wire(client: Client, message: Message) -> Message:
    return client.codec.decode(client.codec.encode(message), message.queue)
