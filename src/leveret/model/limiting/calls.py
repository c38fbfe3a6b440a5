"""One call of a batch task, as its function gets it: `@app.task(batch=Batch(size=100, within=2))`."""

from collections.abc import Mapping, Sequence
from typing import Any

from leveret.errors import MaxRetriesExceededError
from leveret.model.request import CURRENT, Request

_OPEN = object()


class Call:
    """Settled once, by whoever comes first: the function itself (`succeed`, `fail`, `retry`), or what it returns.

    `request` is what `task.request` is elsewhere. A value of None is one; what is not settled when the function has
    raised ends as if that call alone had raised it.
    """

    def __init__(self, request: Request, task: Any) -> None:
        self.request = request
        self._task = task
        self._value: Any = _OPEN
        self._error: BaseException | None = None

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def args(self) -> Sequence[Any]:
        return self.request.args

    @property
    def kwargs(self) -> Mapping[str, Any]:
        return self.request.kwargs

    @property
    def settled(self) -> bool:
        return self._value is not _OPEN or self._error is not None

    @property
    def value(self) -> Any:
        """What it succeeded with; None before that."""
        return None if self._value is _OPEN else self._value

    @property
    def error(self) -> BaseException | None:
        """What it failed with, the wish for another try included."""
        return self._error

    def succeed(self, value: Any = None) -> None:
        """This call is done, with that result. Raises ValueError when it is settled already."""
        self._check()
        self._value = value

    def fail(self, error: BaseException) -> None:
        """This call ends as if it had raised `error`: it fails, or is tried again where the task's policy says so
        (`autoretry_for`); `Reject`, `Ignore`, `Snooze`, `Cancel` mean what they mean elsewhere."""
        self._check()
        if not isinstance(error, BaseException):
            raise TypeError(f"call.fail takes an exception, not {error!r}")
        self._error = error

    def retry(self, exc: BaseException | None = None, **options: Any) -> None:
        """Try this call again later, with `self.retry`'s options (`countdown`, `eta`, `max_retries`, ...); raises
        nothing, so that the loop goes on. Past the limit the call has failed, with `exc`."""
        self._check()
        token = CURRENT.set(self.request)
        try:
            self._error = self._task.retry(exc=exc, throw=False, **options)
        except MaxRetriesExceededError as error:
            self._error = error
        finally:
            CURRENT.reset(token)
            self.request.pending_retry = None

    def _check(self) -> None:
        if self.settled:
            raise ValueError(f"call {self.id} is settled already")

    def __repr__(self) -> str:
        state = "open" if not self.settled else "failed" if self._error is not None else "done"
        return f"<Call {self.id} args={self.args!r} kwargs={self.kwargs!r} {state}>"


def settle(calls: Sequence[Call], returned: Any) -> None:
    """What the function returned, to the calls that are open yet. Raises TypeError, ValueError."""
    if returned is None:
        returned = [None] * len(calls)
    if not isinstance(returned, list | tuple):
        raise TypeError(f"a batch task returns None, or a list with one result for each call, not {returned!r:.200}")
    if len(returned) != len(calls):
        raise ValueError(f"a batch task of {len(calls)} calls returned {len(returned)} results")
    for call, item in zip(calls, returned, strict=True):
        if not call.settled:
            if isinstance(item, BaseException):
                call.fail(item)
            else:
                call.succeed(item)


def alone(call: Call, returned: Any) -> Any:
    """The result of a batch of one; raises what it failed with."""
    settle([call], returned)
    if call.error is not None:
        raise call.error
    return call.value
