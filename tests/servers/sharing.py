"""One RabbitMQ for all workers of a pytest session: the first that needs it starts it, the last that leaves ends it."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.servers.host.premises import join
from tests.servers.rabbit.remote import Address, Rabbit, answers
from tests.servers.rabbitmq import RabbitServer


@contextmanager
def shared_rabbit(meeting: Path) -> Iterator[Rabbit]:
    """Start or join the server that those who name the same folder share. It can be used, not killed."""
    with _one_at_a_time(meeting / "rabbit.lock"):
        address, leave = _join(meeting / "rabbit.json") or _start(meeting / "rabbit.json")
    try:
        yield Rabbit(address)
    finally:
        leave()


def _join(note: Path) -> tuple[Address, Callable[[], None]] | None:
    if not note.exists():
        return None
    address = Address(**json.loads(note.read_text()))
    try:
        lock = join(Path(address.site))
    except OSError:
        # It was the last one's to leave, and is being cleared.
        return None
    if not answers(address.port):
        os.close(lock)
        return None
    return address, lambda: os.close(lock)


def _start(note: Path) -> tuple[Address, Callable[[], None]]:
    server = RabbitServer()
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    note.write_text(json.dumps(asdict(server.address)))
    return server.address, server.leave


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
