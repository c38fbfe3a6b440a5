"""A broker that is away for less than `publish_timeout` costs a sender time, and nothing else."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from tests.servers.proxy import Proxy
from tests.servers.rabbit.remote import Rabbit, Vhost

from leveret import Leveret

AWAY_SECONDS = 0.7


def _send(app: Leveret, options: dict[str, object]) -> None:
    with app:
        app.send_task("note", **options)


def _send_on_a_loop(app: Leveret, options: dict[str, object]) -> None:
    async def main() -> None:
        async with app:
            await app.asend_task("note", **options)

    asyncio.run(main())


@pytest.mark.parametrize("send", [_send, _send_on_a_loop], ids=["thread", "loop"])
@pytest.mark.parametrize("options", [{}, {"ignore_result": True}], ids=["with a result", "without"])
def test_a_send_waits_for_a_broker_that_comes_back(
    send: Callable[[Leveret, dict[str, object]], None],
    options: dict[str, object],
    rabbit: Rabbit,
    rabbit_vhost: Vhost,
) -> None:
    with Proxy(rabbit.port) as door:
        app = Leveret("away", broker_url=rabbit.url_of(rabbit_vhost.name, port=door.port))
        door.refuse()
        back = threading.Timer(AWAY_SECONDS, door.refuse, (False,))
        back.start()
        began = time.monotonic()

        send(app, options)

        assert time.monotonic() - began >= AWAY_SECONDS - 0.1
        back.join()
