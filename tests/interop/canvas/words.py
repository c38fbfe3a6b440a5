"""The words of the canvas, of either side; the queue of the case stands in each signature."""

from dataclasses import dataclass
from typing import Any

import celery

import leveret

MODULES: dict[str, Any] = {"celery": celery, "leveret": leveret}
COMPOSITIONS = frozenset(("chain", "group", "chord", "chunks", "xmap", "xstarmap"))


@dataclass(frozen=True)
class Words:
    """`w.add(1)` is a signature of `interop.add`, `w.chain(...)` that side's chain."""

    side: str
    app: Any
    queue: str

    def __getattr__(self, name: str) -> Any:
        if name in COMPOSITIONS:
            word = getattr(MODULES[self.side], name)
            return lambda *parts, **options: word(*parts, app=self.app, **options)
        return lambda *args, **kwargs: self.app.signature(f"interop.{name}", args=args, kwargs=kwargs, queue=self.queue)

    def tasks(self, *signatures: Any) -> Any:
        """As `app.task`s are composed: `a | b`, folded."""
        first, *others = signatures
        for one in others:
            first = first | one
        return first


def shape(result: Any) -> Any:
    """The ids of a result: of a group a list."""
    return [shape(child) for child in result.results] if hasattr(result, "results") else result.id


def read(app: Any, ids: Any, timeout: float = 20.0) -> Any:
    """What it came to, read by whoever knows nothing but the ids; of an error its name and text."""
    if isinstance(ids, list):
        return [read(app, one, timeout) for one in ids]
    try:
        return app.AsyncResult(ids).get(timeout=timeout)
    except Exception as error:
        return type(error).__name__, str(error)
