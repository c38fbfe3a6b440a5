"""Records `golden/redis.json`: what Celery 5.7 with kombu pushes into Redis's lists, message by message, and what a worker
of its puts back.

`python -m tests.interop.record_redis_golden` needs Redis; the tests that read the file need none.
"""

import json
import sys
from pathlib import Path
from typing import Any

import redis
from celery import Celery, chain
from kombu import Connection
from tests.interop.record_amqp_golden import ARGS, CALLS, KWARGS, SHARED
from tests.servers.redis import RedisServer

GOLDEN = Path(__file__).with_name("golden") / "redis.json"
HEADERS = {"text": "wört 🐇", "empty": "", "small": 7, "large": 2**40, "half": 0.5, "yes": True, "none": None}
LISTS = ("q", *(f"q\x06\x16{step}" for step in (3, 6, 9)))


def main() -> None:
    with RedisServer() as server, redis.Redis.from_url(server.url) as store:
        recorded = record(server.url, store)
    GOLDEN.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    print(f"{len(recorded)} messages", file=sys.stderr)


def record(url: str, store: "redis.Redis") -> dict[str, Any]:
    app = make_app(url)
    recorded = {}
    calls = {name: options for name, options in CALLS.items() if name != "headers"}
    for name, options in {**calls, "headers": {"headers": HEADERS}}.items():
        send(app, **options)
        recorded[name] = take(store)
    link = app.signature("proj.log", args=(5,), queue="q2")
    send(app, link=link, link_error=link)
    recorded["links"] = take(store)
    first = app.signature("proj.add", args=ARGS, kwargs=KWARGS, queue="q", **SHARED)
    steps = [app.signature("proj.add", args=(number,), queue="q", task_id=f"step-{number}") for number in (1, 2)]
    chain(first, *steps).apply_async()
    recorded["chain"] = take(store)
    send(make_app(url, task_protocol=1))
    recorded["v1"] = take(store)
    send(app)
    recorded["given back"] = give_back(url, store)
    return recorded


def give_back(url: str, store: "redis.Redis") -> dict[str, str]:
    with Connection(url) as connection:
        message = connection.default_channel.basic_get("q")
        message.reject(requeue=True)
        return take(store)


def send(app: Celery, **options: Any) -> None:
    app.send_task("proj.add", ARGS, KWARGS, queue="q", **SHARED, **options)


def take(store: "redis.Redis") -> dict[str, str]:
    """The one message there is, and where it lay."""
    ((name, raw),) = [(name, raw) for name in LISTS if (raw := store.rpop(name)) is not None]
    return {"list": name, "raw": raw.decode()}


def make_app(url: str, **settings: Any) -> Celery:
    app = Celery("golden", broker=url, backend=url, set_as_current=True)
    app.conf.update(accept_content=["json", "msgpack", "yaml", "pickle"], **settings)
    return app


if __name__ == "__main__":
    main()
