"""A delay shorter than the look at the file is kept too."""

import asyncio
import time
from pathlib import Path

from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Claim, Encoded, Posting, SessionId
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

NODE = Node(name="w", incarnation="w-1", boot="boot", pid=1, queues=("default",))
POLL = 30.0
"""Far beyond the test's patience: only the bell and the moment itself can wake the session."""


def test_an_idle_session_wakes_when_a_message_sent_meanwhile_is_due(tmp_path: Path) -> None:
    async def scenario() -> float:
        url, options = Url(f"sqlite:///{tmp_path}/queue.db"), DriverOptions(poll_seconds=POLL)
        worker, sender = SqlDriver(url, options, SystemClock()), SqlDriver(url, options, SystemClock())
        session = SessionId("s")
        await worker.leases().register(NODE, (Session(id=session, node="w", incarnation="w-1", pid=1),))
        broker = worker.broker()
        number = 0
        idle = asyncio.ensure_future(broker.bell(("default",), POLL))
        await asyncio.sleep(0)
        due = time.time() + 0.2
        posting = Posting(id="a", queue="default", encoded=Encoded({"id": "a", "task": "t"}, b"[]"), not_before=due)
        await sender.broker().publish((posting,))
        while True:
            number += 1
            if await broker.claim(Claim(session=session, queues=("default",), credit=1, number=number)):
                break
            idle.cancel()
            async with asyncio.timeout(10):
                await broker.bell(("default",), POLL)
        await broker.close()
        worker.close()
        sender.close()
        return time.time() - due

    assert 0 <= asyncio.run(scenario()) < 5
