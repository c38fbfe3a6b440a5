"""The socket that figures are sent by: it waits for nobody."""

import asyncio
import socket
import time

import pytest

from leveret.supervisor.telling import statsd
from leveret.supervisor.telling.statsd import Wire
from leveret.wiring.clock import SystemClock


def listening() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(5)
    return sock


def test_a_server_that_comes_late_hears_what_is_sent_then() -> None:
    with listening() as gone:
        port = gone.getsockname()[1]
    wire = Wire("127.0.0.1", port, SystemClock())

    asyncio.run(wire.prepare())
    for _ in range(3):
        wire.send([b"lost:1|c"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind(("127.0.0.1", port))
        back.settimeout(5)
        wire.send([b"heard:1|c"])
        assert back.recv(100) == b"heard:1|c"
    wire.close()


def test_what_does_not_fit_is_dropped_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with listening() as sock:
        wire = Wire("127.0.0.1", sock.getsockname()[1], SystemClock())
        wire.send([b"before anybody knows where to"])
        asyncio.run(wire.prepare())
        for _ in range(3):
            wire.send([b"x" * 100_000])
        assert wire.dropped == 4
        wire.send([b"fits:1|c"])
        assert sock.recv(100) == b"fits:1|c"
    wire.close()
    assert len(caplog.records) == 1


def test_a_name_that_takes_long_holds_up_neither_start_nor_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statsd.socket, "getaddrinfo", lambda *_, **__: time.sleep(2) or [])
    wire = Wire("slow.example", 8125, SystemClock())

    async def node() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.prepare(), 0.05)

    began = time.monotonic()
    asyncio.run(node())
    assert time.monotonic() - began < 1.5
