"""What goes over the wire, seen by a server that answers as told: order, and how many round trips."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.integration.redis.rig import driver, success

from leveret.errors import OperationalError

GREETED = b"%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$5\r\nproto\r\n:3\r\n$4\r\nrole\r\n$6\r\nmaster\r\n+PONG\r\n"
SUBSCRIBED = b">3\r\n$9\r\nsubscribe\r\n$18\r\ncelery-task-meta-a\r\n:1\r\n"
NOTHING, ENDED = b"*2\r\n_\r\n_\r\n", b'*2\r\n$20\r\n{"status":"SUCCESS"}\r\n_\r\n'
PUSHED = b'>3\r\n$7\r\nmessage\r\n$18\r\ncelery-task-meta-a\r\n$20\r\n{"status":"SUCCESS"}\r\n'


@contextmanager
def scripted(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each read with the next of `answers`; None: it hangs up. Yields its URL and what it read."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                for answer in answers:
                    data = line.recv(65_536)
                    if not data or answer is None:
                        return
                    heard.append(data)
                    line.sendall(answer)
                line.recv(65_536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0", heard
        thread.join(5)


def on_loop(url: str, work: Callable) -> object:
    async def main() -> object:
        backend = driver(url, publish_timeout=2.0).backend()
        try:
            return await work(backend)
        finally:
            await backend.close()

    return asyncio.run(main())


def on_thread(url: str, work: Callable) -> object:
    face = driver(url, publish_timeout=2.0).blocking_backend()
    try:
        return work(face)
    finally:
        face.close()


faces = pytest.mark.parametrize("run", [on_loop, on_thread])


@faces
def test_a_wait_subscribes_before_it_looks_and_both_in_one_write(run):
    with scripted(GREETED, SUBSCRIBED + NOTHING + PUSHED) as (url, heard):
        (found,) = run(url, lambda face: face.wait(["a"], 5))

    assert found.state == "SUCCESS"
    assert len(heard) == 2, "a greeting and a wait"
    assert 0 < heard[1].index(b"SUBSCRIBE") < heard[1].index(b"MGET")


@faces
def test_a_batch_is_stored_in_one_round_trip(run):
    with scripted(GREETED, b"*3\r\n:1\r\n:0\r\n:0\r\n") as (url, heard):
        assert run(url, lambda face: face.store((success("a"), success("b")))) == (True, False)

    assert len(heard) == 2
    assert heard[1].count(b"EVALSHA") == 1


@faces
@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", None, b"-DENIED Redis is running in protected mode\r\n"],
    ids=["another protocol", "hangs up", "protected mode"],
)
def test_what_is_no_redis_is_no_redis(run, answer):
    with scripted(answer) as (url, _), pytest.raises(OperationalError, match=r"cannot reach Redis|DENIED"):
        run(url, lambda face: face.get(["a"]))


@faces
@pytest.mark.parametrize(
    "garbage", [b"+OK\r\n+OK\r\n+OK\r\n", b"@@@\r\n", b">3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"]
)
def test_a_server_out_of_its_mind_is_left(run, garbage):
    with scripted(GREETED, garbage) as (url, _), pytest.raises(OperationalError, match="broke"):
        run(url, lambda face: face.store((success("a"),)))


@faces
def test_a_look_follows_a_message_that_is_not_the_end(run):
    progress = PUSHED.replace(b'$20\r\n{"status":"SUCCESS"}', b'$21\r\n{"status":"PROGRESS"}')
    with scripted(GREETED, SUBSCRIBED + NOTHING + progress + PUSHED, ENDED) as (url, heard):
        (found,) = run(url, lambda face: face.wait(["a"], 5))

    assert found.state == "SUCCESS"
    assert heard[2].count(b"MGET") == 1
