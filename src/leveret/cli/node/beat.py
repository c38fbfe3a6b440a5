"""Whether a node runs a scheduler, and what it says about that."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from leveret.cli.node.plan import Plan, Question
from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured, LeveretError
from leveret.wiring.remote.neighbours import celery_workers, is_shared_with_celery
from leveret.wiring.scheduler import (
    Companion,
    build_scheduler,
    no_store,
    open_schedules,
    schedule_driver,
    schedule_url,
)

log = logging.getLogger("leveret.scheduler")

BESIDE_CELERY = (
    "Celery workers answer on this broker (%s): schedule entries left to celery beat: %d; -B, or leveret beat, "
    'runs them here. Beside Celery set profile="celery": queue types and priorities differ under profile="leveret"'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """`run` is None where this node fires nothing; `address` is where the schedule is kept."""

    run: Companion | None = None
    address: str = ""
    notices: tuple[str, ...] = ()
    sightings: "Sightings | None" = None


class Sightings:
    """What this node sees Celery's beat send: the scheduler asks, and the supervisor that can tell is made later."""

    def __init__(self) -> None:
        self.last: Callable[[], Mapping[str, float]] = dict
        """Unix times on this machine's clock, by mark."""

    def ages(self) -> dict[str, float]:
        now = time.time()
        return {mark: max(now - at, 0.0) for mark, at in self.last().items()}


def decide(plan: Plan, settings: Settings, asked: bool | None, *, burst: bool) -> Beat:
    """On wherever there is a store, unless told otherwise: `asked` is `--beat` (True) or `--no-beat`. Beside Celery
    its beat may run already, so there it is off until asked for; a node that ends when its queues are empty has no
    time for a schedule."""
    count = len(plan.entries)
    if asked is False or (asked is None and burst):
        return Beat()
    if asked is None and settings.profile == "celery":
        left = f"schedule entries left to celery beat: {count}; -B, or leveret beat, runs them here"
        return Beat(notices=(left,) if count else ())
    if schedule_url(settings) is None:
        if asked:
            raise ImproperlyConfigured(no_store(settings))
        return Beat(notices=(f"schedule entries not run: {count}; {no_store(settings)}",) if count else ())
    sightings = Sightings() if asked is None and is_shared_with_celery(settings) else None
    seen = None if sightings is None else sightings.ages
    run = build_scheduler(settings, plan.source, plan.entries, plan.tasks, seen)
    if asked is None:
        run = _unless_beside_celery(run, settings, count)
    return Beat(run=run, address=schedule_driver(settings).address, sightings=sightings)


def _unless_beside_celery(run: Companion, settings: Settings, count: int) -> Companion:
    """Where Celery's workers are, its beat may be too, and each run would be sent twice."""

    async def companion() -> None:
        others = await celery_workers(settings)
        if not others:
            await run()
        elif count:
            log.warning(BESIDE_CELERY, ", ".join(others), count)

    return companion


class Renewal:
    """Brings the entries of new code into the store after a reload; it runs beside the node.

    They are read while the new code is being imported, for that takes as long once more, and written when every
    process runs it: a task that only the new code has would be unknown before.
    """

    def __init__(self, question: Callable[[], Question], settings: Settings) -> None:
        """`question` has the app imported anew."""
        self._question, self._settings = question, settings
        self._asked = asyncio.Event()
        self._plan: asyncio.Future[Plan] | None = None

    def prepare(self) -> None:
        """A reload begins."""
        self._plan = asyncio.ensure_future(asyncio.to_thread(self._question().answer))
        # Of code that does not import nobody asks: the processes' own import has failed too.
        self._plan.add_done_callback(lambda plan: plan.cancelled() or plan.exception())

    def ask(self) -> None:
        """The reload is done."""
        self._asked.set()

    async def run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            assert self._plan is not None, "a reload that is done has begun"
            try:
                plan = await self._plan
                async with open_schedules(self._settings) as store:
                    changed = await store.sync(plan.source, plan.entries)
            except LeveretError as error:
                log.error("the new code's schedule is not in the store; the old one goes on [error=%s]", error)
            else:
                log.info("the new code's schedule is in the store [changed=%s]", ", ".join(changed))
