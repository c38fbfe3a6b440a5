"""Leveret: a distributed task queue for Python that never loses a task.

The front door: names are imported when they are first used, so that `import leveret` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leveret.app import Leveret
    from leveret.client.canvas.chains import chain
    from leveret.client.canvas.chords import chord
    from leveret.client.canvas.groups import chunks, group, xmap, xstarmap
    from leveret.client.control.custom import control_command, inspect_command
    from leveret.client.current import current_app, current_task
    from leveret.client.groups import GroupResult, ResultSet
    from leveret.client.result import AsyncResult
    from leveret.client.schedules.timings import clocked, crontab, schedule, solar
    from leveret.client.signature import Signature, maybe_signature, signature
    from leveret.client.task import Task
    from leveret.client.tasks.decorator import shared_task
    from leveret.client.tasks.eager_result import EagerResult
    from leveret.client.tasks.inside import get_task_logger, uuid
    from leveret.model import state as states
    from leveret.model.limiting.calls import Call
    from leveret.model.limiting.declared import Batch, CircuitBreaker, Concurrency, Rate, RetryBudget
    from leveret.model.queue import Broadcast, Exchange, Queue, binding

__version__ = "0.1.0"

__all__ = [
    "AsyncResult",
    "Batch",
    "Broadcast",
    "Call",
    "CircuitBreaker",
    "Concurrency",
    "EagerResult",
    "Exchange",
    "GroupResult",
    "Leveret",
    "Queue",
    "Rate",
    "ResultSet",
    "RetryBudget",
    "Signature",
    "Task",
    "binding",
    "chain",
    "chord",
    "chunks",
    "clocked",
    "control_command",
    "crontab",
    "current_app",
    "current_task",
    "get_task_logger",
    "group",
    "inspect_command",
    "maybe_signature",
    "schedule",
    "shared_task",
    "signature",
    "solar",
    "states",
    "uuid",
    "xmap",
    "xstarmap",
]

_HOMES = {
    "Leveret": "leveret.app",
    "shared_task": "leveret.client.tasks.decorator",
    "chain": "leveret.client.canvas.chains",
    "chord": "leveret.client.canvas.chords",
    "chunks": "leveret.client.canvas.groups",
    "group": "leveret.client.canvas.groups",
    "xmap": "leveret.client.canvas.groups",
    "xstarmap": "leveret.client.canvas.groups",
    "control_command": "leveret.client.control.custom",
    "inspect_command": "leveret.client.control.custom",
    "current_app": "leveret.client.current",
    "current_task": "leveret.client.current",
    "GroupResult": "leveret.client.groups",
    "ResultSet": "leveret.client.groups",
    "AsyncResult": "leveret.client.result",
    "clocked": "leveret.client.schedules.timings",
    "crontab": "leveret.client.schedules.timings",
    "schedule": "leveret.client.schedules.timings",
    "solar": "leveret.client.schedules.timings",
    "Signature": "leveret.client.signature",
    "maybe_signature": "leveret.client.signature",
    "signature": "leveret.client.signature",
    "Task": "leveret.client.task",
    "EagerResult": "leveret.client.tasks.eager_result",
    "get_task_logger": "leveret.client.tasks.inside",
    "uuid": "leveret.client.tasks.inside",
    "CircuitBreaker": "leveret.model.limiting.declared",
    "Concurrency": "leveret.model.limiting.declared",
    "Rate": "leveret.model.limiting.declared",
    "RetryBudget": "leveret.model.limiting.declared",
    "Call": "leveret.model.limiting.calls",
    "Batch": "leveret.model.limiting.declared",
    "Broadcast": "leveret.model.queue",
    "Exchange": "leveret.model.queue",
    "Queue": "leveret.model.queue",
    "binding": "leveret.model.queue",
}


def __getattr__(name: str) -> Any:
    if name == "states":
        found = import_module("leveret.model.state")
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    elif name == "signals":
        found = import_module("leveret.signals")
    else:
        raise AttributeError(f"module 'leveret' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
