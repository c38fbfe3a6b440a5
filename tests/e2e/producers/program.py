"""`python program.py KIND COUNT`: sends 0..COUNT-1, each kind in its own manner, once it is told to go on by a line of
input; prints the seconds the sends took."""

import asyncio
import atexit
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable

from shop import asend, note, send


def plain(count: int) -> None:
    send(0, count)


def fork(count: int) -> None:
    send(0, 1)  # The connection is open when the children are forked.
    context = multiprocessing.get_context("fork")
    shares = _shares(1, count - 1, 4)
    children = [context.Process(target=send, args=share) for share in shares]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0, child.exitcode


def threads(count: int) -> None:
    workers = [threading.Thread(target=send, args=share) for share in _shares(0, count, 32)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def loops(count: int) -> None:
    asyncio.run(asend(0, count // 2))
    asyncio.run(asend(count // 2, count - count // 2))


def notebook(count: int) -> None:
    """A cell runs synchronously inside a loop that goes on running."""

    async def cell() -> None:
        send(0, count)

    asyncio.run(cell())


def at_exit(count: int) -> None:
    atexit.register(_timed, send, 0, count)


def _shares(start: int, count: int, parts: int) -> list[tuple[int, int]]:
    edges = [start + count * part // parts for part in range(parts + 1)]
    return [(low, high - low) for low, high in zip(edges, edges[1:], strict=False)]


def _timed(call: Callable[..., None], *arguments: int) -> None:
    started = time.perf_counter()
    call(*arguments)
    print(time.perf_counter() - started, flush=True)


KINDS = {each.__name__: each for each in (plain, fork, threads, loops, notebook, at_exit)}

if __name__ == "__main__":
    kind, count = KINDS[sys.argv[1]], int(sys.argv[2])
    note.delay(-1)  # Opening the file and its schema is not a send.
    print("ready", flush=True)
    sys.stdin.readline()
    if kind is at_exit:
        at_exit(count)
    else:
        _timed(kind, count)
