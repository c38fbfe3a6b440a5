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
        store = {"INTEROP_BACKEND": site.stores[self.results]}
        for side in SIDES:
            pool = ["-P", "threads" if side == "leveret" else "prefork", "-c", "2"]
            queues = ["-Q", f"{QUEUES[side]},{QUEUES['both']}"]
            site.start(side, side, [*pool, *queues], **settings(QUEUES["both"]), **store)
        for side in SIDES:
            site.until_run_by(side, QUEUES[side])
        self._clients: dict[tuple[str, str], Any] = {}

    def words(self, sender: str, runner: str) -> Words:
        """A sender whose compositions run on `runner`: a side, or both."""
        queue = QUEUES[runner]
        made = self._clients.get((sender, queue))
        if made is None:
            made = self.site.another_client(sender, self.results, **settings(queue))
            self._clients[sender, queue] = made
        return Words(sender, made, queue)

    def close(self) -> None:
        # Celery's results unsubscribe when they are collected, which takes a server.
        gc.collect()
        for client in self._clients.values():
            client.close()


def settings(queue: str) -> dict[str, str]:
    return {"INTEROP_SETTINGS": json.dumps({"task_default_queue": queue})}
