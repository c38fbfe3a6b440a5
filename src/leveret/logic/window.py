"""How far a broker that pushes may push: the prefetch of a worker process (docs/adr/0007). Pure.

RabbitMQ applies a prefetch only to consumers that begin after it, so more costs a further consumer and less a pause. It
is a dial turned rarely: as many as idle slots at first and for long tasks; up in steps of four while tasks are so short
that the worker asks for several at once; nothing at all (paused) once what was pushed has waited for a slot for 60 ms.
"""

MOST = 256
STEP = 4
AHEAD = 4
"""Batches of the worker that may be unacknowledged: one runs, one waits, and what has ended is being stored, which
takes as long as both where tasks hold the interpreter."""
SHORT = 4
"""Credit per idle slot from which tasks count as short (each takes less than a quarter of the credit's 25 ms)."""
_LEAST_RUN = 32
UNCLAIMED_SECONDS = 0.060
"""A little more than after how long the worker itself gives back what stands behind a running task: what it holds was
sent before what waits here, and must go back before it, or with it, to keep its place."""


MOST_ASIDE = 16_383
"""A prefetch has 16 bits."""


class Window:
    """One process's window. Owned by the I/O loop."""

    def __init__(self) -> None:
        self.prefetch = 0
        """What the present consumers were begun with; 0: paused."""
        self._taken = 0
        """Deliveries taken since the last change."""

    def took(self, count: int) -> None:
        self._taken += count

    def wanted(self, credit: int, idle: int, slots: int) -> int:
        """The prefetch to change to when the worker asks for `credit` with `idle` of its `slots` idle; less than the
        present one means a pause."""
        idle = idle or credit
        if not self.prefetch:
            return idle
        if credit < SHORT * idle:
            # What runs is unacknowledged too, so a window of all slots holds nothing back.
            return slots if self.prefetch > 2 * slots else self.prefetch
        most = min(MOST, AHEAD * credit)
        if self.prefetch < most and self._taken >= max(_LEAST_RUN, STEP * self.prefetch):
            return min(most, STEP * self.prefetch)
        return self.prefetch

    def wanted_aside(self, credit: int, held: int) -> int:
        """As `wanted` where messages need no slot and `held` of them stay unacknowledged meanwhile. Each step is a
        further consumer, so it doubles; never less than there is."""
        return max(self.prefetch, 1 << min(held + credit, MOST_ASIDE).bit_length())

    def change(self, prefetch: int) -> None:
        self.prefetch, self._taken = prefetch, 0

    def pause(self) -> None:
        self.change(0)
