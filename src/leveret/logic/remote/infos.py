"""Celery's description of a task in a worker (`celery/worker/request.py:Request.info`)."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from leveret.errors import DecodeError
from leveret.logic.codec import Codec
from leveret.logic.remote.plain import plain
from leveret.logic.wire.protocol import to_iso
from leveret.logic.wire.reprs import safe_repr
from leveret.model.delivery import Encoded, Whereabouts
from leveret.model.message import Message, TaskId

TIMER_PRIORITY = 6
"""What Celery's workers give an entry of their timer that is a task."""


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
        "args": _said(message.argsrepr, tuple(args)) if safe else plain(args),
        "kwargs": _said(message.kwargsrepr, kwargs) if safe else plain(kwargs),
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


def _said(given: str | None, value: Any) -> str:
    return safe_repr(value) if given is None else given


def scheduled(where: Whereabouts, codec: Codec, hostname: str) -> Mapping[str, Any]:
    """Celery's description of a task that waits for its time (`celery/worker/control.py:scheduled`). What `codec` may
    not read (pickle) is told without its arguments."""
    encoded = where.encoded or Encoded({}, b"")
    try:
        message = codec.decode(encoded, where.queue)
    except DecodeError as error:
        headers = encoded.headers
        message = Message(
            id=TaskId(str(headers.get("id", ""))),
            task=str(headers.get("task", "?")),
            args=(f"<{len(encoded.body)} bytes: {error}>",),
            queue=where.queue,
        )
    eta = None if where.due is None else to_iso(where.due, "eta")
    return {"eta": eta, "priority": TIMER_PRIORITY, "request": info(message, Facts(hostname=hostname))}
