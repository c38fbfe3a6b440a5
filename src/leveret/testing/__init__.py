"""For tests of programs that use Leveret: an app in memory on simulated time, and what it sent.

app = testing.app()                 # or: with testing.using(my_app) as stage:
remind.apply_async(("ann",), countdown=3 * 86400)
app.advance("3 days")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leveret.testing.clock import SimClock
    from leveret.testing.sent import Sent
    from leveret.testing.stage import NeverComes, Stage, StagedLeveret, app, using

__all__ = ["NeverComes", "Sent", "SimClock", "Stage", "StagedLeveret", "app", "using"]

_HOMES = {"Sent": "leveret.testing.sent", "SimClock": "leveret.testing.clock"}


def __getattr__(name: str) -> Any:
    # Lazy: the conformance suite lies below this door and needs no app.
    if name not in __all__:
        raise AttributeError(f"module 'leveret.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "leveret.testing.stage")), name)
