"""An app of either side, as the environment says: the workers' processes and the senders are made alike."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from celery import Celery
from kombu import Exchange as KombuExchange
from kombu import Queue as KombuQueue
from kombu.common import Broadcast as KombuBroadcast

from leveret import Broadcast, Exchange, Leveret, Queue

SAFE = ["json", "msgpack", "yaml"]


def make_celery(environment: Mapping[str, str]) -> Celery:
    """`INTEROP_BROKER`, `_BACKEND`, `_SETTINGS` (JSON) and `_QUEUES` (a JSON list of `Queue`'s arguments, with
    `exchange_type` beside `exchange`, or of `{"broadcast": name}`)."""
    app = Celery("interop", broker=environment["INTEROP_BROKER"], backend=_backend(environment), set_as_current=False)
    app.conf.update(accept_content=SAFE, result_accept_content=SAFE, broker_connection_retry_on_startup=True)
    app.conf.update(_settings(environment))
    if "INTEROP_QUEUES" in environment:
        app.conf.task_queues = _queues(environment, Words(KombuQueue, KombuExchange, KombuBroadcast))
    return app


def make_leveret(environment: Mapping[str, str]) -> Leveret:
    """The same, and `INTEROP_PROFILE`."""
    app = Leveret(
        "interop",
        broker=environment["INTEROP_BROKER"],
        backend=_backend(environment),
        profile=environment.get("INTEROP_PROFILE", "celery"),
        accept_content=SAFE,
        set_as_current=False,
    )
    app.conf.update(_settings(environment))
    if "INTEROP_QUEUES" in environment:
        app.conf.task_queues = _queues(environment, Words(Queue, Exchange, Broadcast))
    return app


MAKERS: Mapping[str, Any] = {"celery": make_celery, "leveret": make_leveret}


def _backend(environment: Mapping[str, str]) -> str:
    return environment.get("INTEROP_BACKEND", "rpc://")


class Words(NamedTuple):
    """The same words of either side."""

    queue: Any
    exchange: Any
    broadcast: Any


def _queues(environment: Mapping[str, str], words: Words) -> list[Any]:
    return [_queue(one, words) for one in json.loads(environment["INTEROP_QUEUES"])]


def _queue(one: dict[str, Any], words: Words) -> Any:
    if "broadcast" in one:
        return words.broadcast(one["broadcast"])
    if "exchange" in one:
        one["exchange"] = words.exchange(one["exchange"], one.pop("exchange_type", "direct"))
    return words.queue(**one)


def _settings(environment: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(environment.get("INTEROP_SETTINGS", "{}"))
    return settings
