"""Chords whose members run on Celery's and on our workers while both are killed in turn; by what Redis itself saw."""

import random
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from tests.interop.canvas.fleet import QUEUES, SIDES, Fleet
from tests.interop.redis.witness import Holder, Witness
from tests.interop.sides.processes import until

QUEUE = QUEUES["both"]
_NAME = re.compile(r'\\"id\\": ?\\"([0-9a-f-]{36})\\"')
"""A message of ours says its id twice."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """`kills`: of each side, each in the middle of `chords` chords."""

    chords: int
    kills: int
    members: int = 6
    seconds: float = 0.02
    seed: int = 1


class Publishes(Witness):
    """Also how often each message was published: given back, it comes in at the list's other end."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.published: Counter[str] = Counter()

    def _hear(self, line: str) -> None:
        super()._hear(line)
        if '"LPUSH"' in line:
            self.published.update(set(_NAME.findall(line.partition('"LPUSH"')[2])))


class Drill:
    """One run on a fleet; the chords of a wave are sent by both sides."""

    def __init__(self, fleet: Fleet, size: Size) -> None:
        self.fleet, self.size, self.site = fleet, size, fleet.site
        self._dice = random.Random(size.seed)
        self._bodies: dict[str, list[str]] = {}
        """By the body's id, its members'."""
        self._recovered = 0

    def perform(self) -> dict[str, Any]:
        """Answers the figures."""
        began = time.monotonic()
        self.site.notes.forget()
        with Publishes(self.site.server.port) as witness:
            for wave in range(2 * self.size.kills):
                self._wave(SIDES[wave % 2])
            self._quiet()
            until(lambda: not self._left(), 90)
            values = self._values()
        return self._report(witness, values, time.monotonic() - began)

    def _wave(self, victim: str) -> None:
        first, sent = self._ran(), self.size.chords * self.size.members
        for number in range(self.size.chords):
            self._send(SIDES[number % 2])
        least = int(sent * self._dice.uniform(0.2, 0.8))
        until(lambda: self._ran() >= first + least, 60)
        self.fleet.kill(victim)
        if victim == "celery":
            # Nobody of Celery's lives now, so what is recorded is the dead one's.
            told = self.site.operate("migrate", "celery", "--recover", "--older-than", "0", "--yes", "--json")
            self._recovered += told.count('"id"')
        self.fleet.start(victim)
        self._quiet()

    def _send(self, side: str) -> None:
        w = self.fleet.words(side, "both")
        header = [w.shared(number, self.size.seconds) for number in range(self.size.members)]
        result = w.chord(header, w.firsts()).apply_async()
        self._bodies[result.id] = [child.id for child in result.parent.results]

    def _ran(self) -> int:
        return sum("shared" in note for note in self.site.notes.all())

    def _quiet(self) -> None:
        """Wait until nothing waits and nobody holds anything."""

        def still() -> bool:
            with self.site.store() as store:
                sessions = [name.decode() for name in store.hkeys("leveret:sessions")]
                held = sum(store.hlen(f"leveret:held:{session}") for session in sessions)
                apart = store.llen(f"leveret:suspects:{QUEUE}") + store.zcard("leveret:delayed")
                return not (held + apart + store.hlen("unacked") + self.site.waiting(QUEUE))

        until(still, 90)

    def _left(self) -> int:
        """Joins whose seats are all taken, and whose body is not out: claimed by a Celery worker that is dead."""
        with self.site.store() as store:
            bases = [name.decode() for name in store.hkeys("leveret:joins")]
            return sum(store.zcard(f"{base}.j") == self.size.members for base in bases)

    def _values(self) -> dict[str, Any]:
        app = self.fleet.words("leveret", "both").app
        with self.site.store() as store:
            return {
                body: store.exists(f"celery-task-meta-{body}") and app.AsyncResult(body).result for body in self._bodies
            }

    def _report(self, witness: Publishes, values: dict[str, Any], seconds: float) -> dict[str, Any]:
        whole = list(range(self.size.members))
        missing = {body for body, value in values.items() if value != whole}
        # Nothing waits at the end: what Redis last saw in a list, a Celery worker popped and died before it recorded it.
        vanished = {
            body
            for body in missing
            if any(witness.holders.get(name) is Holder.WAITING for name in (body, *self._bodies[body]))
        }
        published = Counter(witness.published[body] for body in self._bodies)
        notes = [note for note in self.site.notes.all() if "shared" in note]
        return {
            **asdict(self.size),
            "bodies": len(values) - len(missing),
            "bodies by how often they were published": {
                str(times): count for times, count in sorted(published.items())
            },
            "lost": len(missing - vanished),
            "vanished in a dying Celery worker": len(vanished),
            "member runs": dict(Counter(note["side"] for note in notes)),
            "members run again": len(notes) - len(self._bodies) * self.size.members,
            "taken over from dead Celery workers": self._recovered,
            "took seconds": round(seconds, 1),
        }
