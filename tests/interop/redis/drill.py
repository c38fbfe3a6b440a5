"""Celery and Leveret workers on one queue, killed in turn: who loses what, by what Redis itself saw."""

import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from tests.interop.redis.witness import Holder, Witness
from tests.interop.sides.processes import until
from tests.interop.sides.sites import RedisSite

QUEUE = "both"
PRIORITIES = (0, 3, 6, 9)
LATE = {"INTEROP_SETTINGS": '{"task_acks_late": true, "worker_prefetch_multiplier": 1}'}
SIDES = ("leveret", "celery")
SLOTS = 2
"""Of each side."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """`kills`: of each side. Every task takes so many seconds."""

    tasks: int
    kills: int
    seconds: float = 0.02
    seed: int = 1
    mutant: str = ""


class Drill:
    """One run. A wave of tasks begins when both sides work; in the middle of it one of them is killed."""

    def __init__(self, site: RedisSite, size: Size) -> None:
        self.site, self.size = site, size
        self._dice = random.Random(size.seed)
        self._numbers = iter(range(size.tasks))
        self._ids: dict[str, int] = {}
        self._recovered = 0

    def perform(self) -> dict[str, Any]:
        """Answers the figures."""
        began = time.monotonic()
        with Witness(self.site.server.port) as witness:
            for side in SIDES:
                self._start(side)
            waves = 2 * self.size.kills
            for wave in range(waves):
                self._wave(self.size.tasks // waves, SIDES[wave % 2])
            self._quiet()
        return self._report(witness, time.monotonic() - began)

    def _wave(self, tasks: int, victim: str) -> None:
        first = self._done()
        self._send(tasks)
        until(lambda: self._done() >= first + tasks // 2, 60)
        self._worker(victim).kill()
        if victim == "celery":
            # Nobody of Celery's lives now, so what is recorded is the dead one's.
            told = self.site.operate("migrate", "celery", "--recover", "--older-than", "0", "--yes", "--json")
            self._recovered += told.count('"id"')
        self._start(victim)
        self._quiet()

    def _send(self, tasks: int) -> None:
        for _ in range(tasks):
            number = next(self._numbers)
            client = self.site.client(self._dice.choice(SIDES))
            result = client.send_task(
                "interop.shared",
                (number, self.size.seconds),
                queue=QUEUE,
                priority=self._dice.choice(PRIORITIES),
                ignore_result=True,
            )
            self._ids[result.id] = number

    def _start(self, side: str) -> None:
        mutant = {"INTEROP_MUTANT": self.size.mutant} if self.size.mutant and side == "leveret" else {}
        self.site.start(side, side, ["-P", "prefork", "-c", str(SLOTS), "-Q", QUEUE], **LATE, **mutant)
        self._until_it_works(side)

    def _until_it_works(self, side: str) -> None:
        """With all its processes, and without those of its predecessor."""
        if side == "celery":
            self.site.until_log("celery", "ready.")
            return
        self.site.until_run_by(side, QUEUE)
        with self.site.store() as store:
            until(lambda: len(_claiming(store)) == SLOTS, 30, lambda: _claiming(store))

    def _worker(self, side: str) -> Any:
        return next(worker for worker in self.site.workers() if worker.side == side)

    def _done(self) -> int:
        return len({note["shared"] for note in self.site.notes.all() if "shared" in note})

    def _quiet(self) -> None:
        """Wait until nothing waits and nobody holds anything."""

        def still() -> bool:
            with self.site.store() as store:
                sessions = [name.decode() for name in store.hkeys("leveret:sessions")]
                held = sum(store.hlen(f"leveret:held:{session}") for session in sessions)
                suspects = store.llen(f"leveret:suspects:{QUEUE}")
                return not (held + store.hlen("unacked") + suspects + self.site.waiting(QUEUE))

        until(still, 60, lambda: self._worker("leveret").log[-2000:])

    def _report(self, witness: Witness, seconds: float) -> dict[str, Any]:
        notes = [note for note in self.site.notes.all() if "shared" in note]
        runs = Counter(note["shared"] for note in notes)
        missing = {name for name, number in self._ids.items() if not runs[number]}
        last = {name: witness.holders.get(name, Holder.WAITING) for name in missing}
        # Nothing waits at the end: what Redis last saw in a list, a Celery worker popped and died before it recorded it.
        vanished = {name for name in missing if last[name] is Holder.WAITING}
        return {
            **asdict(self.size),
            "runs": dict(Counter(note["side"] for note in notes)),
            "run again": sum(runs.values()) - len(runs),
            "ever ours": len(witness.ours & self._ids.keys()),
            "lost": len(missing - vanished),
            "vanished in a dying Celery worker": len(vanished),
            "taken from a living node": len([name for name in witness.taken_away if name in self._ids]),
            "taken over from dead Celery workers": self._recovered,
            "took seconds": round(seconds, 1),
        }


def _claiming(store: Any) -> set[bytes]:
    """Sessions that claim. Not the one in which a node runs alone what was running when its predecessor died."""
    sessions = store.hgetall("leveret:sessions")
    alone = {name for name, facts in sessions.items() if json.loads(facts)["quarantine"]}
    return set(store.hkeys("leveret:claims")) - alone
