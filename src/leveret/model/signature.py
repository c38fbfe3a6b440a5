"""A task with arguments, not yet sent, as plain data in Celery's JSON shape."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class SignatureSpec(Struct, frozen=True, kw_only=True, gc=False):
    """Celery's signature dict: `{"task", "args", "kwargs", "options", "subtask_type", "immutable"}`."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}
    subtask_type: str | None = None
    immutable: bool = False
    chord_size: int | None = None
