"""One thread that waits for the disk, so that a caller's loop does not."""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from leveret.model.delivery import Posting

Publish = Callable[[tuple[Posting, ...]], None]
_Sending = tuple[tuple[Posting, ...], "asyncio.Future[None]"]


class DiskThread:
    """Publishes in order; what comes while one commit is under way shares the next, as with the blocking face.

    A hop over `asyncio.to_thread` costs 150-190 us (a pool, a copied context, two futures), this one half of it.
    The thread is a daemon, and new after a fork: it holds nothing but the postings of somebody who waits.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._pid = 0
        self._sendings: SimpleQueue[_Sending] = SimpleQueue()
        # Guards the start: loops of several threads may share this.
        self._starting = threading.Lock()

    async def publish(self, postings: tuple[Posting, ...]) -> None:
        """Return when all are durable. Cancelling the wait does not cancel the publish."""
        if self._pid != os.getpid():
            self._start()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sendings.put((postings, done))
        await done

    def _start(self) -> None:
        with self._starting:
            if self._pid != os.getpid():
                self._sendings = SimpleQueue()
                threading.Thread(target=self._serve, args=(self._sendings,), name="leveret-disk", daemon=True).start()
                self._pid = os.getpid()

    def _serve(self, sendings: SimpleQueue[_Sending]) -> None:
        while True:
            batch = [sendings.get()]
            with suppress(Empty):
                while True:
                    batch.append(sendings.get_nowait())
            for (_, done), error in zip(batch, self._errors(batch), strict=True):
                # A loop that has ended has nobody left who waits.
                with suppress(RuntimeError):
                    done.get_loop().call_soon_threadsafe(_finish, done, error)
            del batch

    def _errors(self, batch: list[_Sending]) -> list[Exception | None]:
        try:
            self._publish(tuple(posting for postings, _ in batch for posting in postings))
        except Exception as error:
            if len(batch) == 1:
                return [error]
            # One of them failed: each alone, so that only the guilty hears of it.
            return [self._errors([sending])[0] for sending in batch]
        return [None] * len(batch)


def _finish(done: "asyncio.Future[Any]", error: Exception | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
