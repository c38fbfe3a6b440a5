"""Making many values at once without the garbage collector looking at all of them again and again."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

MANY = 1_000


@contextmanager
def put_off(parts: int) -> Iterator[None]:
    """Put off the collector while the messages of so many parts are made; for few it is left alone.

    Nothing of them is garbage, and they are alive together: of the 0.3 s that 10,000 take it has 0.1. Whoever finds it
    off leaves it so, and only who has turned it off turns it on again.
    """
    if parts < MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
