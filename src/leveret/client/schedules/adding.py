"""`app.add_periodic_task`: what it puts into `beat_schedule`."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from leveret.client import options as calls
from leveret.client.signature import Signature

log = logging.getLogger("leveret.app")

TERMS = ("timezone", "start", "end", "overlap", "catch_up", "relative")
"""Of its keywords those that speak of the entry; the others are options of the call."""


class Periodic:
    """The half of an app that is run by the clock."""

    conf: Any

    def add_periodic_task(
        self,
        schedule: Any,
        sig: Any,
        args: Iterable[Any] | None = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        **opts: Any,
    ) -> str:
        """Have a task or signature run by a schedule; answers the entry's name. Celery's signature."""
        if isinstance(sig, Signature):
            call = sig.clone(calls.positional(args), calls.named(kwargs))
        else:
            call = Signature(sig, args, kwargs, app=self)  # type: ignore[arg-type] # the other half makes it an app
        options = {key: value for key, value in opts.items() if key not in TERMS}
        calls.check(options)
        key = name or repr(call)
        if name is None and key in self.conf.beat_schedule:
            log.warning("%s was a periodic task already and is replaced: give each a name=", key)
        terms = {key: value for key, value in opts.items() if key in TERMS}
        self.conf.beat_schedule[key] = {"schedule": schedule, "task": call, "options": options, **terms}
        return key
