"""Records `golden/amqp.json`: what Celery 5.7 with kombu and py-amqp puts on a RabbitMQ connection, message by message.

`python -m tests.interop.record_amqp_golden` needs RabbitMQ; the tests that read the file need none.
"""

import base64
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from celery import Celery, chain
from celery.app.task import Context
from kombu.transport.pyamqp import Channel
from tests.servers.rabbitmq import RabbitServer

GOLDEN = Path(__file__).with_name("golden") / "amqp.json"
SHARED: dict[str, Any] = {"task_id": "11111111-2222-3333-4444-555555555555", "origin": "gen1@host"}
ARGS, KWARGS = (1, 2), {"key": "wert \u00fc"}
LATER = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
HEADERS = {
    "text": "w\u00f6rt \U0001f407",
    "empty": "",
    "small": 7,
    "negative": -1,
    "large": 2**40,
    "half": 0.5,
    "yes": True,
    "none": None,
    "list": [1, "x", [True, None], {"a": [2]}],
    "table": {"a": {"b": {"c": "d"}}, "n": -(2**33)},
    "moment": datetime(2030, 1, 2, 3, 4, 5),
    "price": Decimal("12.34"),
    "bytes": b"\xff\x00\xfe",
    "redelivered": True,
}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "eta": {"eta": LATER},
    "expires": {"expires": LATER},
    "priority": {"priority": 9},
    "priority 0": {"priority": 0},
    "transient": {"delivery_mode": 1},
    "limits": {"time_limit": 30, "soft_time_limit": 2.5},
    "ignored": {"ignore_result": True},
    "shadow": {"shadow": "add it"},
    "headers": {"headers": HEADERS},
    "stamps": {"stamped_headers": ["customer"], "customer": "c1"},
    "tree": {"root_id": "root", "parent_id": "parent", "group_id": "g", "group_index": 3},
    "third try": {"retries": 2},
    "gzip": {"compression": "gzip"},
    "bzip2": {"compression": "bzip2"},
    "zstd": {"compression": "zstd"},
    "msgpack": {"serializer": "msgpack"},
    "msgpack gzip": {"serializer": "msgpack", "compression": "gzip"},
    "yaml": {"serializer": "yaml"},
    "pickle": {"serializer": "pickle"},
}


def main() -> None:
    with RabbitServer() as server:
        recorded = record_tasks(server.url)
        results = record_results(server.url)
    GOLDEN.write_text(json.dumps({"tasks": recorded, "results": results}, indent=1, sort_keys=True) + "\n")
    print(f"{len(recorded)} tasks, {len(results)} results", file=sys.stderr)


class Tap:
    """Writes down what leaves through kombu's channel, in the bytes py-amqp makes of it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self._publish = Channel.basic_publish

    def __enter__(self) -> "Tap":
        tap = self

        def publish(channel: Any, message: Any, exchange: str = "", routing_key: str = "", **options: Any) -> Any:
            body = message.body if isinstance(message.body, bytes) else message.body.encode()
            tap.seen.append(
                {
                    "exchange": exchange,
                    "routing_key": routing_key,
                    "properties": base64.b64encode(message._serialize_properties()).decode(),
                    "body": base64.b64encode(body).decode(),
                }
            )
            return tap._publish(channel, message, exchange=exchange, routing_key=routing_key, **options)

        Channel.basic_publish = publish
        return self

    def __exit__(self, *_: object) -> None:
        Channel.basic_publish = self._publish

    def take(self) -> dict[str, Any]:
        (one,) = self.seen
        self.seen.clear()
        return one


def record_tasks(url: str) -> dict[str, Any]:
    app = make_app(url)
    link = app.signature("proj.log", args=(5,), queue="q2")
    recorded = {}
    with Tap() as tap:
        for name, options in CALLS.items():
            send(app, **options)
            recorded[name] = tap.take()
        send(app, link=link, link_error=link)
        recorded["links"] = tap.take()
        first = app.signature("proj.add", args=ARGS, kwargs=KWARGS, queue="q", **SHARED)
        steps = [app.signature("proj.add", args=(number,), queue="q", task_id=f"step-{number}") for number in (1, 2)]
        chain(first, *steps).apply_async()
        recorded["chain"] = tap.take()
        send(make_app(url, task_protocol=1))
        recorded["v1"] = tap.take()
    return recorded


def send(app: Celery, **options: Any) -> None:
    app.send_task("proj.add", ARGS, KWARGS, queue="q", **SHARED, **options)


def record_results(url: str) -> dict[str, Any]:
    recorded = {}
    for serializer in ("json", "msgpack", "yaml", "pickle"):
        app = make_app(url, result_serializer=serializer)
        with Tap() as tap:
            for name, (state, value) in RESULTS.items():
                request = Context(id="an-id", reply_to="a-reply-queue", correlation_id="an-id", group=None, children=[])
                traceback = "Traceback ..." if isinstance(value, Exception) else None
                app.backend.store_result("an-id", value, state, traceback=traceback, request=request)
                recorded[f"{name} {serializer}"] = tap.take()
    return recorded


RESULTS: dict[str, tuple[str, Any]] = {
    "value": ("SUCCESS", {"a": [1, None, 2.5], "\u00fc": True}),
    "nothing": ("SUCCESS", None),
    "failure": ("FAILURE", ValueError("boom", 1)),
    "retry": ("RETRY", KeyError("again")),
    "revoked": ("REVOKED", RuntimeError("revoked")),
    "started": ("STARTED", {"pid": 1, "hostname": "w@h"}),
    "progress": ("PROGRESS", {"done": 3}),
}


def make_app(url: str, **settings: Any) -> Celery:
    app = Celery("golden", broker=url, backend="rpc://", set_as_current=True)
    app.conf.update(accept_content=["json", "msgpack", "yaml", "pickle"], **settings)
    app.conf.update(result_accept_content=["json", "msgpack", "yaml", "pickle"])
    return app


if __name__ == "__main__":
    main()
