"""Whether the calling thread runs an event loop, told without importing asyncio."""

import sys
from typing import Any


def running_loop() -> Any:
    """The loop that runs in this thread, or None."""
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()


async def pause(seconds: float) -> None:
    """`asyncio.sleep`, in a module that is loaded before anybody has a loop."""
    await sys.modules["asyncio"].sleep(seconds)
