"""Bad input: everything that cannot be run is a dead letter with its reason, nothing vanishes, the worker is unharmed."""

import asyncio
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress

import amqp
import pytest
from tests.interop.sides.garbage import EVIL, HARMLESS, HEADERS, Garbage, kinds
from tests.interop.sides.lines import tag
from tests.interop.sides.processes import WorkerProcess, until
from tests.interop.sides.sites import RabbitSite
from tests.servers.rabbit.remote import Rabbit

from leveret.brokers.amqp.driver import AmqpDriver
from leveret.model.delivery import DeadLetter
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.model.topology import Topology
from leveret.wiring.clock import SystemClock

KINDS = kinds()
QUEUE = "dirty"
DEAD = f"leveret.dead.{QUEUE}"


class Dump:
    """A worker on a queue where anybody may leave anything."""

    def __init__(self, site: RabbitSite) -> None:
        self.site = site
        self.client = site.client("celery")
        self.worker: WorkerProcess = site.start("leveret", "sorts", ["-P", "prefork", "-c", "2", "-Q", QUEUE])
        assert self.good(timeout=60) == 3
        self.pids = self.worker.pids()
        options = DriverOptions(topology=Topology(celery=True))
        self.admin = AmqpDriver(Url(site.vhost.url), options, SystemClock()).admin()

    def good(self, timeout: float = 20) -> int:
        value: int = self.client.send_task("interop.add", (1, 2), queue=QUEUE).get(timeout=timeout)
        return value

    def leave(self, *messages: amqp.Message) -> None:
        with self.site.channel() as channel:
            for message in messages:
                channel.basic_publish(message, routing_key=QUEUE)

    def dead(self, count: int, timeout: float = 20) -> tuple[DeadLetter, ...]:
        """Wait for so many dead letters, and read them as an operator does."""
        until(lambda: self.waiting(DEAD) >= count, timeout, lambda: self.worker.log[-2000:])
        return asyncio.run(self.admin.dead(QUEUE, 10_000))

    def clear(self) -> None:
        with self.site.channel() as channel, suppress(amqp.NotFound):
            channel.queue_purge(DEAD)

    def waiting(self, queue: str) -> int:
        with self.site.channel() as channel:
            try:
                return int(channel.queue_declare(queue, passive=True).message_count)
            except amqp.NotFound:
                return 0

    def unharmed(self) -> bool:
        return self.worker.pids() == self.pids


@pytest.fixture
def dump(worker_and_dump: Dump) -> Dump:
    worker_and_dump.clear()
    return worker_and_dump


@pytest.fixture(scope="module")
def worker_and_dump(rabbit: Rabbit, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dump]:
    vhost = rabbit.vhost()
    site = RabbitSite(rabbit, vhost, redis_url, tmp_path_factory.mktemp("dump"))
    yield Dump(site)
    site.close()
    rabbit.drop_vhost(vhost.name)


@pytest.mark.parametrize("name", KINDS)
def test_garbage_is_a_dead_letter_with_its_reason(dump: Dump, name: str) -> None:
    garbage: Garbage = KINDS[name]

    dump.leave(garbage.message())

    (letter,) = dump.dead(1)
    assert letter.reason.startswith("undecodable: ")
    assert garbage.reason in letter.reason
    assert len(letter.reason) < 1000
    assert letter.queue == QUEUE
    assert letter.encoded.body == garbage.body
    assert letter.at > 0
    assert dump.good() == 3
    assert dump.unharmed()
    assert not os.path.exists(EVIL)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_merely_odd_is_run(dump: Dump, name: str) -> None:
    odd = HARMLESS[name]
    headers = {**HEADERS, "task": "interop.note", "id": str(uuid.uuid4()), **odd.get("headers", {})}
    body = json.dumps([odd.get("args", []), {"tag": (mark := tag())}, {}]).encode()
    properties = {"delivery_mode": 2, **odd.get("properties", {})}

    dump.leave(amqp.Message(body, content_type="application/json", application_headers=headers, **properties))

    dump.site.notes.wait(tag=mark)
    assert dump.good() == 3
    assert dump.unharmed()


def test_two_messages_of_one_id_both_end(dump: Dump) -> None:
    headers = {**HEADERS, "task": "interop.note", "id": "the-same"}
    body = json.dumps([[], {"tag": (mark := tag())}, {}]).encode()
    message = amqp.Message(body, content_type="application/json", application_headers=headers, delivery_mode=2)

    dump.leave(message, message)

    dump.site.notes.wait(tag=mark)
    until(lambda: dump.waiting(QUEUE) == 0)
    assert dump.good() == 3


def test_a_wrong_call_is_a_failure_and_no_dead_letter(dump: Dump) -> None:
    with pytest.raises(TypeError):
        dump.client.send_task("interop.add", (1, 2, 3), queue=QUEUE).get(timeout=20)

    assert dump.waiting(DEAD) == 0


def test_a_dead_letter_does_not_expire_with_its_message(dump: Dump) -> None:
    dump.leave(amqp.Message(b"{", content_type="application/json", application_headers=HEADERS, expiration="60000"))
    until(lambda: dump.waiting(DEAD) == 1)

    with dump.site.channel() as channel:
        letter = channel.basic_get(DEAD, no_ack=True)
    assert "expiration" not in letter.properties


FOLLOWERS = {
    "eta": ("rubbish", "failed"),
    "countdown": ("soon", "failed"),
    "expires": ("rubbish", "failed"),
    "queue": (7, "failed"),
    "queue ": ("x" * 300, "parked"),
    "queue  ": ("amq.forbidden", "parked"),
    "exchange": ("not.there", "parked"),
    "priority": ("high", "parked"),
    "headers": ([1], "failed"),
    "headers ": ({"task": "another"}, "failed"),
    "serializer": ("nothing", "failed"),
    "compression": ("nothing", "failed"),
    "time_limit": ("x", "follower parked"),
    "soft_time_limit": ([1], "follower parked"),
    "group_index": ("x", "follower parked"),
    "shadow": ([1], "follower parked"),
    "group_id": ([1], "follower parked"),
    "ignore_result": ("maybe", "follower parked"),
    "link": ("x", "failed"),
    "link ": ([{"no": "task"}], "failed"),
    "chain": ([7], "failed"),
    "chord": ("x", "failed"),
    "reply_to": (7, "parked"),
    "task_id": (5, "runs"),
    "root_id": ([], "runs"),
}
"""Options of a callback, which are read only when it is due; and what becomes of it."""


@pytest.mark.parametrize("name", FOLLOWERS)
def test_a_callback_with_garbage_for_options_harms_nobody_and_is_seen(dump: Dump, name: str) -> None:
    value, fate = FOLLOWERS[name]
    follower = {
        "task": "interop.note",
        "args": [],
        "kwargs": {"tag": (followed := tag())},
        "options": {"queue": QUEUE, name.strip(): value},
    }
    body = json.dumps([[], {"tag": (mark := tag())}, {"callbacks": [follower]}]).encode()
    headers = {"task": "interop.note", "id": (id := str(uuid.uuid4()))}

    dump.leave(amqp.Message(body, content_type="application/json", application_headers=headers, delivery_mode=2))

    dump.site.notes.wait(tag=mark)
    match fate:
        case "failed":
            until(lambda: f"{id}] could not be concluded" in dump.worker.log)
        case "parked":
            (letter,) = dump.dead(1)
            assert (letter.id, letter.reason[:21]) == (id, "could not be settled:")
        case "follower parked":
            (letter,) = dump.dead(1)
            assert letter.reason.startswith("undecodable: ") and letter.id != id
        case "runs":
            dump.site.notes.wait(tag=followed)
    assert dump.good() == 3
    until(lambda: dump.waiting(QUEUE) == 0)
    assert dump.unharmed()
    assert len(dump.site.notes.all(tag=mark)) == 1


def test_all_of_it_at_once_among_good_tasks(dump: Dump) -> None:
    results = [dump.client.send_task("interop.add", (number, 1), queue=QUEUE) for number in range(100)]
    dump.leave(*(garbage.message() for garbage in KINDS.values()))
    results += [dump.client.send_task("interop.add", (number, 1), queue=QUEUE) for number in range(100)]

    assert [result.get(timeout=60) for result in results] == [*range(1, 101)] * 2
    until(lambda: dump.waiting(DEAD) == len(KINDS), 60)
    shown = dump.site.operate("dead", "list", "--json", "-n", "1000", INTEROP_QUEUES=json.dumps([{"name": QUEUE}]))
    assert len(json.loads(shown)) == len(KINDS)
    letters = dump.dead(len(KINDS))
    assert sorted(letter.encoded.body for letter in letters) == sorted(garbage.body for garbage in KINDS.values())
    assert dump.waiting(QUEUE) == 0
    assert dump.unharmed()
    assert not os.path.exists(EVIL)
