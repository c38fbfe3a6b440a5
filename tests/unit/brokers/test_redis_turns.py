"""Threads that send together: nobody's message is lost, nobody waits for somebody who has gone."""

import threading
import time

import pytest

from leveret.brokers.redis.turns import Turns
from leveret.errors import PublishFailed, PublishUnknown
from leveret.model.delivery import Encoded, Posting


def posting(name):
    return Posting(id=name, queue="q", encoded=Encoded({}, b""))


class Server:
    """Takes what it is sent; the first call waits at the gate."""

    def __init__(self):
        self.calls: list[list[str]] = []
        self.gate = threading.Event()
        self.refused: set[str] = set()
        self.raises: BaseException | None = None

    def send(self, postings, timeout):
        names = [one.id for one in postings]
        first = not self.calls
        self.calls.append(names)
        if first:
            self.gate.wait(10)
        elif self.raises is not None:
            raise self.raises
        if refused := self.refused.intersection(names):
            raise PublishFailed(f"refused: {refused}")


class Crowd:
    def __init__(self, turns, timeout=10.0):
        self.turns, self.timeout = turns, timeout
        self.errors: dict[str, BaseException | None] = {}
        self.threads: list[threading.Thread] = []

    def send(self, name):
        thread = threading.Thread(target=self._send, args=(name,))
        self.threads.append(thread)
        thread.start()

    def _send(self, name):
        try:
            self.turns.publish((posting(name),), self.timeout)
            self.errors[name] = None
        except BaseException as error:
            self.errors[name] = error

    def join(self):
        for thread in self.threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self.threads)
        return self.errors


@pytest.fixture
def server():
    return Server()


def gather(server, *names, timeout=10.0):
    """The first is under way while the others come."""
    turns = Turns(server.send)
    crowd = Crowd(turns, timeout)
    crowd.send(names[0])
    while not server.calls:
        time.sleep(0.001)
    for number, name in enumerate(names[1:], 1):
        crowd.send(name)
        while len(turns._waiting) < number:
            time.sleep(0.001)
    return crowd


def test_what_comes_while_one_sends_goes_together(server):
    crowd = gather(server, "a", "b", "c", "d")
    server.gate.set()

    assert set(crowd.join().values()) == {None}
    assert server.calls == [["a"], ["b", "c", "d"]]


def test_only_the_guilty_hears_of_it(server):
    server.refused = {"c"}
    crowd = gather(server, "a", "b", "c", "d")
    server.gate.set()

    errors = crowd.join()

    assert [name for name, error in errors.items() if error is not None] == ["c"]
    assert isinstance(errors["c"], PublishFailed)


def test_when_the_first_fails_the_others_go_on(server):
    server.refused = {"a"}
    crowd = gather(server, "a", "b", "c")
    server.gate.set()

    errors = crowd.join()

    assert isinstance(errors["a"], PublishFailed)
    assert (errors["b"], errors["c"]) == (None, None)


def test_what_may_have_arrived_together_is_not_sent_again_apart(server):
    server.raises = PublishUnknown("no answer")
    crowd = gather(server, "a", "b", "c", "d")
    server.gate.set()

    errors = crowd.join()

    assert server.calls == [["a"], ["b", "c", "d"]]
    assert [isinstance(errors[name], PublishUnknown) for name in "abcd"] == [False, True, True, True]
    assert not any(errors[name].repeatable for name in "bcd")


def test_who_waits_in_vain_has_sent_nothing(server):
    crowd = gather(server, "a", "b", timeout=0.05)
    crowd.threads[1].join(5)

    assert isinstance(crowd.errors["b"], PublishFailed)
    server.gate.set()
    crowd.join()
    assert server.calls == [["a"]]


def test_an_interrupted_sender_does_not_take_the_others_word_for_sent(server):
    server.raises = KeyboardInterrupt()
    crowd = gather(server, "a", "b", "c")
    server.gate.set()

    errors = crowd.join()

    assert isinstance(errors["b"], KeyboardInterrupt)
    assert isinstance(errors["c"], PublishUnknown)


def test_the_line_goes_on_after_all_of_that(server):
    server.raises = KeyboardInterrupt()
    crowd = gather(server, "a", "b", "c")
    server.gate.set()
    crowd.join()
    server.raises = None

    crowd.turns.publish((posting("d"),), 1.0)

    assert server.calls[-1] == ["d"]
