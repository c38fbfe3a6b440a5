"""What every peer file shares: its options, the counted task body, and its command line.

A peer file defines
    purge()                     forget all messages and results
    send(count, bulk, payload)  send that many tasks; timed here
    send_async(count, payload)  the same as a coroutine, where there is one
    call(payload)               send one task and wait for its result
    worker() -> argv            the node's command line, as its manual gives it
    close()                     where a client that ends without it loses what it has sent; not timed
Options come as BENCH_* variables. Run as `python p_NAME.py purge | send N one|bulk|threads|coroutines | call N | worker`.
"""

import asyncio
import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

DATA = Path(os.environ["BENCH_DATA"])
BIN = Path(sys.executable).parent
SPIN_SECONDS = float(os.environ.get("BENCH_SPIN", "0"))
SENDERS = int(os.environ.get("BENCH_SENDERS", "16"))
PAYLOAD_BYTES = int(os.environ.get("BENCH_PAYLOAD", "0"))


def option(name: str, default: str) -> str:
    return os.environ.get(f"BENCH_{name.upper()}", default)


def _counter_module() -> ModuleType:
    # Every system counts with the same code: the package's file, loaded by path because peers do not have the package.
    path = Path(__file__).parents[2] / "src" / "leveret" / "cli" / "benching" / "counter.py"
    spec = importlib.util.spec_from_file_location("bench_counter", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TICKER = _counter_module().from_environment()


def body() -> None:
    """What the measured task does: nothing, or CPU on its own thread, and a tick."""
    if SPIN_SECONDS:
        until = time.thread_time() + SPIN_SECONDS
        while time.thread_time() < until:
            pass
    if TICKER:
        TICKER.tick()


def payload(size: int) -> list[dict[str, Any]]:
    """JSON of about `size` bytes, in the shape of rows; no two alike, or pickle would write the first one only."""
    rows: list[dict[str, Any]] = []
    length = 2
    while length < size:
        number = len(rows)
        row = {
            "id": 123_000 + number,
            "name": f"Grace Hopper {number}",
            "email": f"grace{number}@example.org",
            "score": 98.5 + number,
            "tags": [f"a{number}", f"b{number}"],
        }
        rows.append(row)
        length += len(json.dumps(row)) + 2
    return rows


def main(peer: str) -> None:
    # Imported under its own name: tasks are then named `p_x.add`, never `__main__.add`.
    module: Any = importlib.import_module(peer)
    match sys.argv[1:]:
        case ["purge"]:
            module.purge()
        case ["send", count, how]:
            print(json.dumps(_timed(int(count), lambda: _send(module, int(count), how))))
            if hasattr(module, "close"):
                module.close()
        case ["call", count]:
            print(json.dumps(_round_trips(int(count), lambda: module.call(payload(PAYLOAD_BYTES)))))
        case ["worker"]:
            argv = module.worker()
            os.chdir(Path(__file__).parent)
            os.execv(argv[0], argv)


def _timed(count: int, send: Callable[[], Any]) -> dict[str, float]:
    cpu, started = time.process_time(), time.perf_counter()
    send()
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    return {"tasks": count, "per_second": count / wall, "cpu_ms_per_1k": used / count * 1e6}


def _send(module: Any, count: int, how: str) -> None:
    arguments = payload(PAYLOAD_BYTES)
    if how == "coroutines":
        asyncio.run(_gather(module, count, arguments))
        return
    if how != "threads":
        module.send(count, how == "bulk", arguments)
        return
    senders = [threading.Thread(target=module.send, args=(count // SENDERS, False, arguments)) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


async def _gather(module: Any, count: int, arguments: Any) -> None:
    await asyncio.gather(*(module.send_async(count // SENDERS, arguments) for _ in range(SENDERS)))


def _round_trips(count: int, call: Callable[[], Any]) -> dict[str, float]:
    for _ in range(min(10, count // 5)):
        call()
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    at = {
        name: taken[min(count - 1, int(count * share))]
        for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99))
    }
    return {"samples": count, **at}
