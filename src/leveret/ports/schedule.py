"""Where the schedule is kept: entries, how far each has got, and runs that were taken and not yet sent.

Every verb is one transaction. The store's clock counts, and `due` tells it; whoever asks never uses its own.
"""

from typing import Protocol

from leveret.model.schedules.entry import Due, Entry, Move, Report, Standing


class ScheduleStore(Protocol):
    async def sync(self, source: str, entries: tuple[Entry, ...]) -> tuple[str, ...]:
        """Make the entries that the code of `source` defines be exactly these: the others of that source are
        dropped, one that was made at run time under the same name is taken over. What has not changed keeps its
        revision and its place; a pause stays. Answers the names of those that are new, changed or dropped."""
        ...

    async def put(self, entries: tuple[Entry, ...]) -> tuple[Standing | None, ...]:
        """Create or change. None: an entry of that name belongs to another source, and nothing was written.

        A new entry's cursor is now. A change raises the revision; a change of when it is due also moves the cursor to
        now, unless that has passed it."""
        ...

    async def drop(self, names: tuple[str, ...]) -> tuple[bool, ...]:
        """Forget entries with their history. What was taken of them is still sent."""
        ...

    async def pause(self, names: tuple[str, ...], paused: bool) -> tuple[bool, ...]:
        """Stop or resume; False where there is no such entry. On resuming the cursor is now: what fell into the
        pause is no miss."""
        ...

    async def look(self, names: tuple[str, ...] | None = None, runs: int = 0) -> tuple[Standing | None, ...]:
        """In the order of `names`, None where there is no such entry; all of them by name where none are given.
        Each with its last `runs` runs."""
        ...

    async def due(self, limit: int) -> Due:
        """At most `limit` entries that are due or have no next moment yet, longest due first, and the runs taken by
        somebody who did not report: each of those is handed to one who asks, and again after `RETRY_SECONDS`."""
        ...

    async def take(self, moves: tuple[Move, ...]) -> tuple[bool, ...]:
        """Decide. False: the entry does not stand where it was seen (another was first, it was changed, paused or
        dropped), and nothing of that move was written. The fires of the others are taken, which whoever asked must
        send and report."""
        ...

    async def report(self, reports: tuple[Report, ...]) -> None:
        """These runs were sent: they go into the history, once each."""
        ...
