"""The workers of both sides, and the senders of both."""

import gc
import json
from typing import Any

from tests.interop.canvas.words import Words
from tests.interop.sides.sites import Site

SIDES = ("celery", "leveret")
QUEUES = {"celery": "celerys", "leveret": "ours", "both": "both"}
OTHER = {"celery": "leveret", "leveret": "celery"}


class Fleet:
    """Two slots of each side. What a worker makes of its own accord goes to the queue that both consume."""

    def __init__(self, site: Site, results: str = "") -> None:
        self.site, self.results = site, results or site.usual
        self._clients: dict[tuple[str, str], Any] = {}
        for side in SIDES:
            self._start(side)
        for side in SIDES:
            site.until_run_by(side, QUEUES[side])

    def start(self, side: str) -> None:
        """Again, after `kill`."""
        self._start(side)
        self.site.until_run_by(side, QUEUES[side])

    def _start(self, side: str) -> None:
        options = ["-P", "prefork", "-c", "2", "-Q", f"{QUEUES[side]},{QUEUES['both']}"]
        store = {"INTEROP_BACKEND": self.site.stores[self.results]}
        self.site.start(side, side, options, **settings(QUEUES["both"]), **store)

    def kill(self, side: str) -> None:
        next(worker for worker in self.site.workers() if worker.side == side).kill()

    def words(self, sender: str, runner: str) -> Words:
        """A sender whose compositions run on `runner`: a side, or both."""
        queue = QUEUES[runner]
        made = self._clients.get((sender, queue))
        if made is None:
            made = self.site.another_client(sender, self.results, **settings(queue))
            self._clients[sender, queue] = made
        return Words(sender, made, queue)

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        # Celery's results unsubscribe when they are collected, which takes a server: the apps hold them.
        self._clients.clear()
        gc.collect()


def settings(queue: str) -> dict[str, str]:
    late = {"task_acks_late": True, "worker_prefetch_multiplier": 1}
    return {"INTEROP_SETTINGS": json.dumps({"task_default_queue": queue, **late})}
