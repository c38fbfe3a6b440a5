"""Celery's description of a task in a worker (`celery/worker/request.py:Request.info`)."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from leveret.logic.remote.plain import plain
from leveret.model.message import Message


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of the run beside its message. Of one that has not begun, no time and no process."""

    hostname: str
    time_start: float | None = None
    worker_pid: int | None = None
    acknowledged: bool = False
    redelivered: bool = False


def info(message: Message, facts: Facts, *, safe: bool = False) -> Mapping[str, Any]:
    """`safe`: the arguments as text."""
    args, kwargs = list(message.args), dict(message.kwargs)
    return {
        "id": message.id,
        "name": message.shadow or message.task,
        "args": repr(tuple(args)) if safe else plain(args),
        "kwargs": repr(kwargs) if safe else plain(kwargs),
        "type": message.task,
        "hostname": facts.hostname,
        "time_start": facts.time_start,
        "acknowledged": facts.acknowledged,
        "delivery_info": {
            "exchange": message.exchange,
            "routing_key": message.routing_key or message.queue,
            "priority": message.priority or 0,
            "redelivered": facts.redelivered,
        },
        "worker_pid": facts.worker_pid,
    }
