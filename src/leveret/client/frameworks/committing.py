"""Sending a task when its caller's transaction is committed: a worker must not look for a row before it is there."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Generic, ParamSpec, Unpack

from leveret.client import options as calls
from leveret.client.options import CallOptions

P = ParamSpec("P")


class OnCommit(Generic[P]):
    """The half of a task that waits for a commit, under Celery's names. Nothing is returned: nothing is sent yet."""

    def delay_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """As `delay`, when the present transaction is committed; at once outside of one."""
        task: Any = self
        task.check(args, kwargs)
        task.app.surroundings.on_commit(partial(task.delay, *args, **kwargs))

    def apply_async_on_commit(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Unpack[CallOptions]
    ) -> None:
        """As `apply_async`, when the present transaction is committed; at once outside of one."""
        task: Any = self
        calls.check(options)
        task.check(calls.positional(args), calls.named(kwargs))
        task.app.surroundings.on_commit(partial(task.apply_async, args, kwargs, **options))
