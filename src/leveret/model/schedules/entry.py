"""Entries of the schedule, what stands in the store of each, and what a scheduler does about it.

Moments are unix seconds on the store's clock: whose own clock is wrong fires nothing too early and nothing twice.
"""

from typing import Literal

from msgspec import Struct

from leveret.model.delivery import Posting
from leveret.model.schedules.timing import Timing

Policy = Literal["skip", "one", "all"]
Overlap = Literal["allow", "skip"]
Outcome = Literal["sent", "by hand", "skipped", "by celery beat"]
BY_BEAT: Outcome = "by celery beat"
"""A run that Celery's beat sent; its moment is when it was seen."""

FRESH_SECONDS = 5.0
"""A moment that is not later than this has not been missed: no catch-up policy drops it."""
RUNS_KEPT = 20
"""Of each entry the store remembers so many runs."""
RETRY_SECONDS = 2.0
"""A run that was taken and not reported as sent for so long is handed to whoever asks next."""


class CatchUp(Struct, frozen=True, kw_only=True):
    """What becomes of moments that nobody was there to fire."""

    policy: Policy = "one"
    """skip: dropped. one: the latest of them. all: the latest `most`."""
    most: int = 1000
    within: float | None = None
    """Seconds: what was missed longer ago is dropped whatever the policy says (`beat_cron_starting_deadline`)."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the schedule. Its message is complete but for id and deadline, so that who fires it needs no code of
    the app: `postings` are the message and its copies for further queues."""

    name: str
    task: str
    timing: Timing
    postings: tuple[Posting, ...] = ()
    zone: str = "UTC"
    arguments: str = ""
    """For people."""
    expires_after: float | None = None
    """Seconds from the fire."""
    delay: float = 0.0
    """Seconds from the fire (`countdown`)."""
    start: float | None = None
    end: float | None = None
    overlap: Overlap = "allow"
    """skip: no run is sent while the one before has not ended."""
    catch_up: CatchUp = CatchUp()
    source: str = ""
    """The app whose code defines it; empty: it was made at run time."""


class Run(Struct, frozen=True, kw_only=True):
    """One moment that was decided."""

    id: str
    moment: float
    late: float = 0.0
    """Seconds between the moment and the answer of the broker."""
    outcome: Outcome = "sent"


class Standing(Struct, frozen=True, kw_only=True):
    """An entry and how far it has got. `revision` counts its changes."""

    entry: Entry
    revision: int
    cursor: float
    """Every moment up to here has been decided; the next is computed from it."""
    due: float | None
    """The next moment; 0: nobody has computed it yet; None: there is none."""
    paused: bool = False
    last: str = ""
    """The id of the last run that was taken."""
    last_moment: float | None = None
    runs: tuple[Run, ...] = ()
    """The newest first, where they were asked for."""


class Fire(Struct, frozen=True, kw_only=True):
    """A run that is taken and not yet reported as sent. It keeps the entry as it was, so that a change never fires
    both the old and the new."""

    entry: Entry
    revision: int
    moment: float
    id: str


class Move(Struct, frozen=True, kw_only=True):
    """A decision about one entry: valid only while the entry stands where whoever decided has seen it."""

    name: str
    revision: int
    seen: float
    """The cursor as it was seen."""
    cursor: float
    due: float | None
    fires: tuple[Fire, ...] = ()
    skipped: tuple[Run, ...] = ()
    """Moments that are due and get no run (`overlap`)."""
    missed: bool = False
    """Some moments were dropped by the catch-up policy."""


class Due(Struct, frozen=True, kw_only=True):
    """What there is to do now, by the store's clock."""

    now: float
    standings: tuple[Standing, ...] = ()
    fires: tuple[Fire, ...] = ()
    """Taken some time ago by somebody who has not reported since."""
    next: float | None = None
    """When the next entry is due, beyond those answered; None: nothing is known to come."""
    more: bool = False
    """There is more to do at once."""


class Report(Struct, frozen=True, kw_only=True):
    """A run was sent."""

    name: str
    revision: int
    moment: float
    id: str
    outcome: Outcome = "sent"
