"""Whether a task may wait for another: as in Celery it may not, unless it says that it knows better."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from leveret.model.request import CURRENT

JOIN_REFUSED = """\
Never call result.get() within a task!
A task that waits for another holds a slot, and when every slot waits nothing runs any more.
Let the other task follow (link=, chain), await the result in an `async def` task, or wrap the call in
`with allow_join_result():` when you know that it cannot block.
"""

_joins_allowed: ContextVar[bool] = ContextVar("leveret_joins_allowed", default=False)


@contextmanager
def allow_join_result() -> Iterator[None]:
    """Permit `get()` inside a task for a while."""
    token = _joins_allowed.set(True)
    try:
        yield
    finally:
        _joins_allowed.reset(token)


def assert_will_not_block() -> None:
    """Refuse to wait inside a task, as Celery does."""
    request = CURRENT.get()
    if request is not None and not request.is_eager and not _joins_allowed.get():
        raise RuntimeError(JOIN_REFUSED)
