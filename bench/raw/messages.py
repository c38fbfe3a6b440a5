"""The messages that the broker's limit is measured with: those our own client sends."""

import asyncio

from bench import trial
from bench.interop import claimed
from bench.media import Servers
from bench.raw import frames
from bench.raw.tap import Tap
from bench.systems import LEVERET, System, variant
from leveret.errors import ImproperlyConfigured
from leveret.wiring.parts import find

COUNT = 1000
OURS = variant(LEVERET, LEVERET.name, options={"results": "0"})
TASK = "p_leveret.note"


def speaks_amqp() -> bool:
    try:
        find("brokers", "amqp")
    except ImproperlyConfigured:
        return False
    return True


def ours(servers: Servers) -> frames.Sent:
    """Read off our client; before it speaks AMQP: the same headers and bodies, framed as it will have to."""
    return tapped(OURS, servers, TASK) if speaks_amqp() else asyncio.run(_stand_in())


def tapped(system: System, servers: Servers, task: str) -> frames.Sent:
    with trial.bed(system, servers) as it:
        tap = Tap(it.environment["BENCH_BROKER_URL"])
        try:
            it.environment.update(LEVERET_BROKER_URL=tap.url, BENCH_BROKER_URL=tap.url)
            it.run("send", str(COUNT), "bulk")
        finally:
            tap.close()
    found = [sent for recording in tap.recordings if (sent := frames.sent(bytes(recording), task)).contents]
    if not found:
        raise RuntimeError(f"{system.name} sent no message of {task}")
    return found[0]


async def _stand_in() -> frames.Sent:
    with trial.bed(OURS) as it:
        it.run("send", str(COUNT), "bulk")
        messages = await claimed(f"sqlite:///{it.folder}/leveret.db", COUNT)
    return frames.Sent(tuple(frames.content(message) for message in messages), mandatory=False, queue_type="quorum")
