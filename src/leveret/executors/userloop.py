"""The one event loop for user code: it lives as long as the process, so that what one task opens the next can use."""

import asyncio
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Interruptible(Coroutine[Any, Any, T]):
    """A coroutine into which another exception than CancelledError can be thrown. Owned by the loop that runs it."""

    def __init__(self, inner: Coroutine[Any, Any, T]) -> None:
        self.inner = inner
        self._error: type[BaseException] | None = None
        self._task: asyncio.Task[Any] | None = None

    def strike(self, error: type[BaseException]) -> None:
        """Raise `error` where the coroutine waits now; nothing happens when it has ended."""
        if self._task is not None and not self._task.done():
            self._error = error
            self._task.cancel()

    def send(self, value: Any) -> Any:
        if self._task is None:
            self._task = asyncio.current_task()
        return self.inner.send(value)

    def throw(self, *error: Any) -> Any:
        struck, self._error = self._error, None
        if struck is None or not isinstance(error[0], asyncio.CancelledError):
            return self.inner.throw(*error)
        # The cancellation was only the vehicle: asyncio.timeout() inside must not take it for its own.
        if self._task is not None:
            self._task.uncancel()
        return self.inner.throw(struck())

    def close(self) -> None:
        self.inner.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self.inner.__await__()


class UserLoop:
    """A loop run by whoever asks (`on_thread=False`: the main thread) or by a thread of its own."""

    def __init__(self, *, on_thread: bool) -> None:
        self._on_thread = on_thread
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Guards the making of the loop: two slots may want it at once.
        self._making = threading.Lock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        with self._making:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                if self._on_thread:
                    self._thread = threading.Thread(target=self._serve, name="leveret-user-loop", daemon=True)
                    self._thread.start()
            return self._loop

    def complete(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and wait for it. Never called on the loop's own thread while it runs."""
        loop = self.loop
        if not self._on_thread:
            asyncio.set_event_loop(loop)
            return loop.run_until_complete(loop.create_task(work))
        done: Future[T] = Future()
        loop.call_soon_threadsafe(_spawn, loop, work, done)
        return done.result()

    def strike(self, work: Interruptible[Any], error: type[BaseException]) -> None:
        """Thread-safe."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(work.strike, error)

    def close(self) -> None:
        """Cancel what is left on the loop and close it. Called when no task runs any more."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        if self._on_thread:
            loop.call_soon_threadsafe(loop.stop)
            if self._thread is not None:
                self._thread.join()
        _cancel_rest(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _serve(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


def _spawn(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], done: "Future[T]") -> None:
    task = loop.create_task(work)
    task.add_done_callback(lambda ended: _hand_over(ended, done))


def _hand_over(ended: "asyncio.Task[T]", done: "Future[T]") -> None:
    if ended.cancelled():
        done.set_exception(asyncio.CancelledError())
    elif (error := ended.exception()) is not None:
        done.set_exception(error)
    else:
        done.set_result(ended.result())


def _cancel_rest(loop: asyncio.AbstractEventLoop) -> None:
    rest = asyncio.all_tasks(loop)
    for task in rest:
        task.cancel()
    if rest:
        loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
