"""The line between a supervisor and a worker process."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from leveret.model.control import Broken, Drained, FromChild, Quiet, Ready, StopNow, ToChild
from leveret.supervisor.channel import Channel, ChannelClosed, child_end, pair

Ends = tuple[Channel[FromChild], Channel[ToChild]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = pair()
    child = child_end(theirs)
    yield ours, child
    ours.close()
    child.close()


def test_messages_arrive_in_order_and_whole(ends: Ends) -> None:
    supervisor, child = ends

    child.send(Ready(pid=1, session="s", tasks=("a\nb",)))
    child.send(Drained("max tasks"))
    supervisor.send(Quiet(grace=2.0))

    assert supervisor.receive(1) == Ready(pid=1, session="s", tasks=("a\nb",))
    assert supervisor.receive(1) == Drained("max tasks")
    assert child.receive(1) == Quiet(grace=2.0)


def test_the_end_of_the_stream_is_none_after_the_last_message(ends: Ends) -> None:
    supervisor, child = ends
    child.send(Drained())
    child.close()

    assert supervisor.receive(1) == Drained()
    assert supervisor.receive(1) is None
    assert supervisor.receive(1) is None


def test_a_silent_peer_times_out(ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        ends[0].receive(0.01)


def test_last_words_are_read_without_waiting(ends: Ends) -> None:
    supervisor, child = ends
    child.send(Ready(pid=1, session="s"))
    child.send(Broken("no such module"))

    assert supervisor.rest() == (Ready(pid=1, session="s"), Broken("no such module"))


def test_sending_to_a_dead_peer_says_so(ends: Ends) -> None:
    supervisor, child = ends
    child.close()

    with pytest.raises(ChannelClosed):
        supervisor.send(StopNow())


def test_a_peer_that_never_reads_is_given_up(ends: Ends) -> None:
    supervisor, _ = ends

    with pytest.raises(ChannelClosed):
        supervisor.send(Quiet(reason="x" * 10_000_000))


def test_reading_on_a_loop_survives_cancelling(ends: Ends) -> None:
    supervisor, child = ends

    async def scenario() -> list[FromChild | None]:
        waiting = asyncio.ensure_future(supervisor.read())
        await asyncio.sleep(0)
        waiting.cancel()
        child.send(Drained("one"))
        child.send(Drained("two"))
        child.close()
        return [await supervisor.read() for _ in range(3)]

    assert asyncio.run(scenario()) == [Drained("one"), Drained("two"), None]


def test_threads_may_send_at_once(ends: Ends) -> None:
    supervisor, child = ends
    threads = [threading.Thread(target=child.send, args=(Drained("x" * 5000),)) for _ in range(16)]

    for thread in threads:
        thread.start()
    seen = [supervisor.receive(2) for _ in threads]
    for thread in threads:
        thread.join()

    assert seen == [Drained("x" * 5000)] * 16
