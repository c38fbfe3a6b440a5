"""A queue that refuses (`x-overflow: reject-publish`): a sender waits a moment for room, and then says what is wrong."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from kombu import Connection, Queue
from tests.servers.rabbit.remote import Vhost

from leveret import Leveret
from leveret.errors import PublishFailed

Send = Callable[[], object]


@pytest.fixture
def app(rabbit_vhost: Vhost) -> Iterator[Leveret]:
    """Its queue holds one message, and has it."""
    with Connection(rabbit_vhost.url) as connection:
        limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
        Queue("default", durable=True, queue_arguments=limits, channel=connection.channel()).declare()
    app = Leveret("refused", broker_url=rabbit_vhost.url)
    app.task(name="note", ignore_result=True)(lambda: None)
    app.send_task("note")
    yield app
    app.close()


async def _send_on_a_loop(app: Leveret) -> None:
    async with app:
        await app.asend_task("note")


@pytest.fixture(params=["thread", "loop"])
def send(request: pytest.FixtureRequest, app: Leveret) -> Send:
    if request.param == "thread":
        return lambda: app.send_task("note")
    return lambda: asyncio.run(_send_on_a_loop(app))


def test_a_full_queue_is_named_after_two_seconds(send: Send) -> None:
    began = time.monotonic()

    with pytest.raises(PublishFailed, match="refused 1 of 1 messages"):
        send()

    assert 1.5 < time.monotonic() - began < 5.0


def test_a_queue_that_has_room_again_takes_what_waits_for_it(send: Send, rabbit_vhost: Vhost) -> None:
    def take_one() -> None:
        time.sleep(0.5)
        with Connection(rabbit_vhost.url) as connection:
            assert connection.channel().basic_get("default", no_ack=True) is not None

    taking = threading.Thread(target=take_one)
    taking.start()

    send()

    taking.join()
