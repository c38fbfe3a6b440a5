"""Bad input in Redis's lists: all that cannot be run is a dead letter with its reason; nothing vanishes, nobody stops."""

import asyncio
import base64
import json
import os
import pickle
import uuid
from collections.abc import Mapping
from typing import Any

from tests.interop.sides.garbage import EVIL, HARMLESS, HEADERS, Garbage, kinds
from tests.interop.sides.lines import tag
from tests.interop.sides.processes import until
from tests.interop.sides.sites import RedisSite

from leveret.model.delivery import DeadLetter
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers

QUEUE = "dirty"
FINE_HERE = ("content no type", "headers of 70 levels")
"""What says nothing of its type is JSON, as kombu has it; and JSON may be deeper than the tables of AMQP."""


def envelope(body: bytes, headers: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
    return {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": headers,
        "properties": {"delivery_tag": tag(), "body_encoding": "base64", "delivery_info": {"routing_key": QUEUE}},
        **more,
    }


def enveloped(garbage: Garbage) -> bytes | None:
    """None for what JSON cannot say, or what is no garbage in it."""
    if garbage.name in FINE_HERE:
        return None
    found = envelope(garbage.body, garbage.headers, **{"content-type": garbage.content_type})
    try:
        return json.dumps(found).encode()
    except TypeError:
        return None


def wrong_envelopes() -> list[bytes]:
    good = envelope(b"[[], {}, {}]", HEADERS)
    changed = [
        {"body": 7},
        {"body": None},
        {"body": "*** no base64 ***"},
        {
            "body": base64.b64encode(pickle.dumps(([], {}, {}))).decode(),
            "content-type": "application/x-python-serialize",
        },
        {"headers": None},
        {"headers": "text"},
        {"headers": [1]},
        {"headers": {}},
        {"headers": {"task": "interop.who"}},
        {"properties": None},
        {"properties": 5},
        {"properties": {"body_encoding": 7}},
        {"properties": {"priority": "high", "body_encoding": "base64"}},
        {"properties": {"delivery_info": "text", "body_encoding": "base64"}},
        {"content-type": 7},
        {"leveret": "text"},
        {"leveret": {"deliveries": "many"}},
        {"leveret": {"charges": [1]}},
        {"leveret": {"once": "x"}},
    ]
    texts = [
        b"",
        b" ",
        b"hello",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b"\xff\xfe",
        bytes(100),
        b'{"body":',
        b"[" * 100_000,
    ]
    missing = [
        {name: value for name, value in good.items() if name != left} for left in ("body", "headers", "properties")
    ]
    return [
        *texts,
        *(json.dumps({**good, **one}).encode() for one in changed),
        *(json.dumps(one).encode() for one in missing),
    ]


def letters(site: RedisSite) -> tuple[DeadLetter, ...]:
    async def look() -> tuple[DeadLetter, ...]:
        drivers = open_drivers(site.client("leveret").conf.settings, SystemClock())
        found = await drivers.broker.admin().dead(QUEUE, 10_000)
        await drivers.broker.broker().close()
        return found

    return asyncio.run(look())


def test_garbage_becomes_dead_letters_and_harms_nobody(site: RedisSite) -> None:
    client = site.client("celery")
    worker = site.start("leveret", "sorts", ["-P", "prefork", "-c", "2", "-Q", QUEUE])
    assert client.send_task("interop.add", (1, 2), queue=QUEUE).get(timeout=30) == 3
    pids = worker.pids()
    named = {raw: one for one in kinds().values() if (raw := enveloped(one)) is not None}
    wrong = wrong_envelopes()

    results = [client.send_task("interop.add", (number, 1), queue=QUEUE) for number in range(50)]
    with site.store() as store:
        for raw in (*named, *wrong):
            store.lpush(QUEUE, raw)
    results += [client.send_task("interop.add", (number, 1), queue=QUEUE) for number in range(50)]

    assert [result.get(timeout=60) for result in results] == [*range(1, 51)] * 2
    with site.store() as store:
        until(lambda: store.zcard("leveret:dead") >= len(named) + len(wrong), 30)
        assert store.hlen("leveret:dead:letters") == len(named) + len(wrong)
        sessions = store.hkeys("leveret:sessions")
        assert not any(store.hlen(b"leveret:held:" + session) for session in sessions)
    dead = letters(site)
    assert all(letter.reason.startswith("undecodable: ") and len(letter.reason) < 1000 for letter in dead)
    told = {(letter.encoded.body, letter.reason) for letter in dead}
    for garbage in named.values():
        assert any(body == garbage.body and garbage.reason in reason for body, reason in told), garbage.name
    assert len(json.loads(site.operate("dead", "list", "--json", "-n", "1000"))) == len(dead)
    assert (site.waiting(QUEUE), worker.pids()) == (0, pids)
    assert not os.path.exists(EVIL)


def test_what_is_merely_odd_is_run(site: RedisSite) -> None:
    site.start("leveret", "sorts", ["-P", "solo", "-Q", QUEUE])
    marks = []
    with site.store() as store:
        for odd in HARMLESS.values():
            headers = {**HEADERS, "task": "interop.note", "id": str(uuid.uuid4()), **odd.get("headers", {})}
            marks.append(mark := tag())
            message = envelope(json.dumps([odd.get("args", []), {"tag": mark}, {}]).encode(), headers)
            message["properties"] |= odd.get("properties", {})
            store.lpush(QUEUE, json.dumps(message))

    for mark in marks:
        site.notes.wait(tag=mark, timeout=30)
