"""An app of either side, as the environment says: the workers' processes and the senders are made alike."""

import json
from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu import Queue as KombuQueue
from kombu.common import Broadcast as KombuBroadcast

from leveret import Broadcast, Leveret, Queue

SAFE = ["json", "msgpack", "yaml"]


def make_celery(environment: Mapping[str, str]) -> Celery:
    """`INTEROP_BROKER`, `_BACKEND`, `_SETTINGS` (JSON) and `_QUEUES` (a JSON list of `Queue`'s arguments, or of
    `{"broadcast": name}`)."""
    app = Celery("interop", broker=environment["INTEROP_BROKER"], backend=_backend(environment), set_as_current=False)
    app.conf.update(accept_content=SAFE, result_accept_content=SAFE, broker_connection_retry_on_startup=True)
    app.conf.update(_settings(environment))
    if "INTEROP_QUEUES" in environment:
        app.conf.task_queues = _queues(environment, KombuQueue, KombuBroadcast)
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
        app.conf.task_queues = _queues(environment, Queue, Broadcast)
    return app


MAKERS: Mapping[str, Any] = {"celery": make_celery, "leveret": make_leveret}


def _backend(environment: Mapping[str, str]) -> str:
    return environment.get("INTEROP_BACKEND", "rpc://")


def _queues(environment: Mapping[str, str], queue: Any, broadcast: Any) -> list[Any]:
    listed = json.loads(environment["INTEROP_QUEUES"])
    return [broadcast(one["broadcast"]) if "broadcast" in one else queue(**one) for one in listed]


def _settings(environment: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(environment.get("INTEROP_SETTINGS", "{}"))
    return settings
