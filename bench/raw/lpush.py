"""Redis's own limit of a bulk send: the messages that our client writes, put into their list by LPUSH and nothing else."""

import socket
import time
from itertools import repeat

from hiredis import Reader, pack_command

from bench.media import RedisAlone
from bench.trial import Figures
from leveret.links.redis import envelope
from leveret.model.delivery import Encoded, Posting

AT_ONCE, WINDOW = 250, 4
"""Messages in one command as our client has them, and commands on their way: a thousand messages, then it waits."""
ID = "0190a3a0-0000-7000-8000-000000000000"
POSTING = Posting(id=ID, queue="default", encoded=Encoded({"task": "p_leveret.add", "id": ID}, b"[[12345,[]],{},{}]"))


def push(running: RedisAlone, count: int) -> Figures:
    """The client does nothing but write and wait: no ids, no encoding, no results."""
    with running.place(running.redis.folder), socket.create_connection(("127.0.0.1", running.redis.port)) as line:
        data = pack_command(("LPUSH", "default", *repeat(envelope.write(POSTING, 9, 1.5), AT_ONCE)))
        reader, before = Reader(), running.cpu_seconds()
        cpu, started = time.process_time(), time.perf_counter()
        for _ in range(count // (AT_ONCE * WINDOW)):
            for _ in range(WINDOW):
                line.sendall(data)
            _await(line, reader, WINDOW)
        wall, used = time.perf_counter() - started, time.process_time() - cpu
        broker = running.cpu_seconds() - before
    return {
        "tasks": count,
        "per_second": count / wall,
        "cpu_ms_per_1k": used / count * 1e6,
        "broker_ms_per_1k": broker / count * 1e6,
    }


def _await(line: socket.socket, reader: Reader, answers: int) -> None:
    while answers:
        reader.feed(line.recv(65_536))
        while reader.gets() is not False:
            answers -= 1
