"""Messages that are no tasks, or nearly: what a hostile, broken or confused producer puts on a queue."""

import bz2
import json
import os
import pickle
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import amqp

FULL = os.environ.get("LEVERET_CHAOS") == "full"
JSON = "application/json"
BODY = b"[[], {}, {}]"
HEADERS = {"task": "interop.who", "id": "an-id"}
EVIL = os.environ.get("INTEROP_EVIL", "/tmp/leveret-interop-evil")


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """`reason`: a part of what the dead letter must say."""

    name: str
    reason: str
    body: bytes = BODY
    headers: Mapping[str, Any] | None = field(default_factory=lambda: HEADERS)
    content_type: str | None = JSON
    properties: Mapping[str, Any] = field(default_factory=dict)

    def message(self) -> amqp.Message:
        properties = {"content_type": self.content_type, "application_headers": self.headers, "delivery_mode": 2}
        given = {name: value for name, value in {**properties, **self.properties}.items() if value is not None}
        return amqp.Message(self.body, **given)


class Touch:
    """Unpickled, it leaves a file behind."""

    def __reduce__(self) -> Any:
        return os.close, (os.open(EVIL, os.O_CREAT | os.O_WRONLY),)


def kinds() -> dict[str, Garbage]:
    found = [*bodies(), *contents(), *compressed(), *shapes(), *embeds(), *names(), *headers(), *version_1(), *large()]
    table = {one.name: one for one in found}
    assert len(table) == len(found)
    return table


def bodies() -> Iterator[Garbage]:
    for name, body in {
        "truncated": b'[[1, 2], {"a":',
        "not json": b"hello",
        "empty": b"",
        "spaces": b"   ",
        "invalid utf-8": b'[["\xff\xfe"], {}, {}]',
        "nul bytes": bytes(100),
        "two documents": b"[[], {}, {}] [[], {}, {}]",
        "a comma too many": b"[[], {}, {},]",
        "single quotes": b"[[], {'a': 1}, {}]",
        "ten thousand digits": b"[[" + b"9" * 10_000 + b"], {}, {}]",
        "utf-16": '[["x"], {}, {}]'.encode("utf-16"),
    }.items():
        yield Garbage(name=name, body=body, reason="undecodable")
    for levels in (65, 1_000, 100_000):
        yield Garbage(name=f"{levels} levels", body=b"[" * levels + b"]" * levels, reason="nested deeper")
        objects = b'[[], {"a":' + b'{"a":' * levels + b"1" + b"}" * (levels + 1) + b", {}]"
        yield Garbage(name=f"{levels} levels of objects", body=objects, reason="nested deeper")


def contents() -> Iterator[Garbage]:
    for name, content_type in {
        "bytes": "application/octet-stream",
        "text": "text/plain",
        "nonsense": "nonsense",
        "charset": "application/json; charset=utf-8",
        "no type": None,
    }.items():
        yield Garbage(name=f"content {name}", content_type=content_type, reason="is not in accept_content")
    evil = pickle.dumps(([Touch()], {}, {}))
    if os.path.exists(EVIL):
        os.unlink(EVIL)
    yield Garbage(name="pickle", content_type="application/x-python-serialize", body=evil, reason="pickle")
    yield Garbage(name="pickle as json", body=evil, reason="undecodable")
    yaml = {
        "yaml tag": b'!!python/object/apply:os.system ["touch %s"]' % EVIL.encode(),
        "yaml name": b"[!!python/name:os.system , {}, {}]",
        "yaml module": b"!!python/module:os",
        "yaml unfinished": b"[[], {",
        "yaml tab": b"\t- a",
        "yaml bomb": yaml_bomb(),
    }
    for name, body in yaml.items():
        yield Garbage(name=name, content_type="application/x-yaml", body=body, reason="undecodable")
    msgpack = {
        "msgpack truncated": b"\x93\x90",
        "msgpack levels": b"\x91" * 5_000 + b"\xc0",
        "msgpack length": b"\xdd\xff\xff\xff\xff",
        "msgpack number as name": b"\x93\x90\x81\x01\x02\x80",
        "msgpack never used": b"\xc1",
        "json as msgpack": BODY,
    }
    for name, body in msgpack.items():
        yield Garbage(name=name, content_type="application/x-msgpack", body=body, reason="undecodable")


def yaml_bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(lines).encode()


def compressed() -> Iterator[Garbage]:
    size = 1 << 30 if FULL else 1 << 26
    for name, body, kind in (
        ("gzip bomb", deflated(size), "application/x-gzip"),
        ("bzip2 bomb", bz2.compress(bytes(size // 8)), "application/x-bz2"),
        ("not gzip", b"hello", "application/x-gzip"),
        ("gzip truncated", zlib.compress(BODY * 100)[:-5], "application/x-gzip"),
        ("not bzip2", b"BZh9nothing", "application/x-bz2"),
        ("not zstd", b"\x28\xb5\x2f\xfdnothing", "application/zstd"),
        ("unknown compression", BODY, "application/x-nothing"),
        ("compression is a number", BODY, 7),
        ("compression is a list", BODY, ["gzip"]),
    ):
        yield Garbage(name=name, body=body, headers={**HEADERS, "compression": kind}, reason="undecodable")


def deflated(size: int) -> bytes:
    """Zeros, a thousand times smaller; never as a whole in memory."""
    packer = zlib.compressobj(1)
    chunk = bytes(1 << 20)
    return b"".join([*(packer.compress(chunk) for _ in range(size >> 20)), packer.flush()])


def shapes() -> Iterator[Garbage]:
    for name, body, reason in (
        ("a number", b"42", "body: expected"),
        ("a text", b'"text"', "body: expected"),
        ("null", b"null", "body: expected"),
        ("an empty list", b"[]", "body: expected"),
        ("two parts", b"[[], {}]", "body: expected"),
        ("four parts", b"[[], {}, {}, {}]", "body: expected"),
        ("args are an object", b'[{"a": 1}, {}, {}]', "args: expected"),
        ("args are a text", b'["abc", {}, {}]', "args: expected"),
        ("args are null", b"[null, {}, {}]", "args: expected"),
        ("kwargs are a list", b"[[], [], {}]", "kwargs: expected"),
        ("kwargs are null", b"[[], null, {}]", "kwargs: expected"),
        ("embed is a list", b"[[], {}, [1]]", "embed: expected"),
        ("embed is a number", b"[[], {}, 1]", "embed: expected"),
    ):
        yield Garbage(name=name, body=body, reason=reason)


def embeds() -> Iterator[Garbage]:
    for name, embed, reason in (
        ("callbacks are a number", {"callbacks": 7}, "embed.callbacks"),
        ("a callback is a text", {"callbacks": ["x"]}, "callbacks[0]"),
        ("a callback without a task", {"callbacks": [{"args": []}]}, "callbacks[0].task"),
        ("a callback whose task is a number", {"callbacks": [{"task": 7}]}, "callbacks[0].task"),
        ("a callback whose args are a text", {"callbacks": [{"task": "t", "args": "x"}]}, "callbacks[0].args"),
        ("a callback whose options are a list", {"callbacks": [{"task": "t", "options": [1]}]}, "callbacks[0].options"),
        ("errbacks are a text", {"errbacks": "x"}, "embed.errbacks"),
        ("a thousand callbacks", {"callbacks": [{"task": "t"}] * 1000}, "1000 signatures"),
        ("a chain of numbers", {"chain": [1, 2]}, "chain[0]"),
        ("a chord of text", {"chord": "x"}, "chord"),
        ("a chord of a strange size", {"chord": {"task": "t", "chord_size": "x"}}, "chord_size"),
    ):
        yield Garbage(name=name, body=json.dumps([[], {}, embed]).encode(), reason=reason)


def names() -> Iterator[Garbage]:
    for name, table, reason in (
        ("no headers", None, "missing"),
        ("no task", {"id": "an-id"}, "task: missing"),
        ("no id", {"task": "interop.who"}, "id: missing"),
        ("task is a number", {**HEADERS, "task": 7}, "task: expected"),
        ("task is empty", {**HEADERS, "task": ""}, "task: expected"),
        ("task is null", {**HEADERS, "task": None}, "task: missing"),
        ("task is a table", {**HEADERS, "task": {"a": 1}}, "task: expected"),
        ("task has two lines", {**HEADERS, "task": "a\nb"}, "task: expected"),
        ("task is endless", {**HEADERS, "task": "x" * 10_000}, "task: expected"),
        ("id is a number", {**HEADERS, "id": 7}, "id: expected"),
        ("id is a list", {**HEADERS, "id": ["a", {"b": 1}]}, "id: expected"),
        ("id is empty", {**HEADERS, "id": ""}, "id: expected"),
        ("id is endless", {**HEADERS, "id": "x" * 10_000}, "id: expected"),
        ("id has control characters", {**HEADERS, "id": "a\x00\x1b[2J"}, "id: expected"),
        ("id is bytes", {**HEADERS, "id": b"\xff\xfe"}, "id: expected"),
    ):
        yield Garbage(name=name, headers=table, reason=reason)


def headers() -> Iterator[Garbage]:
    for header, values in {
        "retries": ["x", -1, 2**40, [1], 1.5],
        "eta": [7, "yesterday", ["x"], {}],
        "expires": ["never", True, [1]],
        "timelimit": ["x", 7, [1], [1, 2, 3], ["a", "b"], [-1, None]],
        "ignore_result": ["maybe", 7],
        "root_id": [5, []],
        "parent_id": [{"a": 1}],
        "group": [["g"]],
        "group_index": ["x", -1],
        "shadow": [3],
        "origin": [[]],
        "replaced_task_nesting": ["x"],
        "stamped_headers": [5, [1]],
        "stamps": [[1], "x"],
    }.items():
        for value in values:
            yield Garbage(name=f"{header} is {value!r}", headers={**HEADERS, header: value}, reason=header)
    yield Garbage(name="headers without end", headers={**HEADERS, "own": "x" * 40_000}, reason="headers: more than")
    deep: Any = "x"
    for _ in range(70):
        deep = {"a": deep}
    yield Garbage(name="headers of 70 levels", headers={**HEADERS, "own": deep}, reason="undecodable")


def version_1() -> Iterator[Garbage]:
    good = {"task": "interop.who", "id": "an-id", "args": [], "kwargs": {}}
    for name, body, reason in (
        ("no task", {**good, "task": None}, "task"),
        ("no id", {"task": "interop.who"}, "id"),
        ("nothing", {}, "task"),
        ("id is a number", {**good, "id": 5}, "id"),
        ("args are a text", {**good, "args": "x"}, "args"),
        ("kwargs are a list", {**good, "kwargs": [1]}, "kwargs"),
        ("expires is rubbish", {**good, "expires": "rubbish"}, "expires"),
        ("retries is a text", {**good, "retries": "x"}, "retries"),
        ("taskset is a list", {**good, "taskset": [1]}, "group"),
        ("callbacks are a number", {**good, "callbacks": 7}, "callbacks"),
    ):
        yield Garbage(name=f"v1: {name}", headers={}, body=json.dumps(body).encode(), reason=reason)


def large() -> Iterator[Garbage]:
    text = b'[["' + b"x" * (17 << 20) + b'"], {}, {}]'
    yield Garbage(name="17 megabytes", body=text, reason="at most")


HARMLESS: dict[str, dict[str, Any]] = {
    "a moment that is none": {"args": [{"__type__": "datetime", "__value__": "rubbish"}]},
    "a decimal that is none": {"args": [{"__type__": "decimal", "__value__": "rubbish"}]},
    "a kind nobody knows": {"args": [{"__type__": "nobody", "__value__": 1}]},
    "a class of ours that is none": {"args": [{"__leveret__": "dataclass", "__value__": ["os", "system", {}]}]},
    "our header is a text": {"headers": {"leveret": "x"}},
    "our header speaks of another": {
        "headers": {"leveret": {"v": 1, "id": "other", "retries": 0, "settings": {"a": 1}}}
    },
    "our header of another version": {"headers": {"leveret": {"v": 99}}},
    "our counts are texts": {
        "headers": {"leveret.deliveries": "x", "leveret.crashes": [1, ["a"]], "leveret.suspect": "y"}
    },
    "the broker's headers": {"headers": {"x-death": "x", "x-delivery-count": "many", "x-first-death-queue": 7}},
    "odd names": {"headers": {"__class__": "x", "a b": 1, "\u00fc": 2}},
    "null everywhere": {
        "headers": dict.fromkeys(("eta", "expires", "group", "timelimit", "shadow", "root_id", "stamps"))
    },
    "nobody waits": {"properties": {"reply_to": "a.queue.that.is.not.there", "correlation_id": "x"}},
    "a direct reply that is none": {"properties": {"reply_to": "amq.rabbitmq.reply-to.rubbish", "correlation_id": "x"}},
    "a long reply address": {"properties": {"reply_to": "x" * 255, "correlation_id": "x"}},
    "another correlation": {"properties": {"correlation_id": "y" * 255}},
    "other properties": {
        "properties": {"message_id": "m", "type": "t", "app_id": "a", "timestamp": 1_700_000_000, "cluster_id": "c"}
    },
    "priority 255": {"properties": {"priority": 255}},
    "transient": {"properties": {"delivery_mode": 1}},
}
"""Not garbage: odd, and to be run."""
