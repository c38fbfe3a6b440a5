"""What the examples with a web server share: processes that run until a block is left, and a way to ask them."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Command = Sequence[str]
"""A module and its arguments."""

PATIENCE_SECONDS = 60.0
BOOKS = ("Watership Down", "Pippi Longstocking", "Momo")


@contextmanager
def running(*command: str, folder: Path, environment: Mapping[str, str], log: Path) -> Iterator[None]:
    """Run a Python module with arguments in the background (`running("leveret.cli", "worker", ...)`)."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)


def run(*command: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a Python program to its end."""
    subprocess.run([sys.executable, *command], cwd=folder, env={**os.environ, **environment}, check=True)


def bookshop(here: Path, serve: Command, work: Command, environment: Mapping[str, str], *, shipped: str) -> None:
    """Start a web server and a worker, order three books and wait until each is in the state `shipped`."""
    with tempfile.TemporaryDirectory() as logs:
        port = free_port()
        site = f"http://127.0.0.1:{port}/orders/"
        with (
            running(*serve, str(port), folder=here, environment=environment, log=Path(logs) / "web.log"),
            running(*work, folder=here, environment=environment, log=Path(logs) / "worker.log"),
        ):
            orders = [ask(f"{site}?title={title.replace(' ', '+')}", post=True)["id"] for title in BOOKS]
            for order in orders:
                answer = seen(f"{site}{order}/", "state", shipped)
                print(f"order {order}: {answer['title']}, shipped")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, *, post: bool = False) -> Any:
    """The JSON that a URL answers; waits for a server that is starting."""
    request = urllib.request.Request(url, data=b"" if post else None)

    def answer() -> Any:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{url} answered {error.code}: {error.read().decode(errors='replace')}") from error
        except OSError:
            return None

    return wait_until(answer, f"an answer of {url}")


def wait_until(look: Callable[[], T | None], what: str) -> T:
    """Look until something is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {PATIENCE_SECONDS:g} s")
        time.sleep(0.05)
    return found


def seen(url: str, key: str, value: str) -> Any:
    """Ask until the answer has this value under a key."""
    return wait_until(lambda: answer if (answer := ask(url))[key] == value else None, f"{key} {value} at {url}")
