"""Celery's signature dict, written and read."""

from collections.abc import Mapping, Sequence
from typing import Any

from leveret.errors import DecodeError
from leveret.logic.wire.jsontags import ATOMS
from leveret.model.signature import SignatureSpec


class Signatures(Sequence[SignatureSpec]):
    """Signatures that are read when they are asked for. Anywhere in options they stand for the list of them."""

    __slots__ = ()


def signature_to_wire(spec: SignatureSpec) -> dict[str, Any]:
    """Celery's signature dict; signatures inside arguments and options become dicts too."""
    wire = {
        "task": spec.task,
        "args": _inner_to_wire(spec.args),
        "kwargs": _inner_to_wire(spec.kwargs),
        "options": _inner_to_wire(spec.options),
        "subtask_type": spec.subtask_type,
        "immutable": spec.immutable,
    }
    if spec.chord_size is not None:
        wire["chord_size"] = spec.chord_size
    return wire


def _inner_to_wire(value: Any) -> Any:
    if isinstance(value, SignatureSpec):
        return signature_to_wire(value)
    if type(value) is list or type(value) is tuple:
        return [_inner_to_wire(item) for item in value] if value else []
    # Exact: a subclass of dict is the serializer's business.
    if type(value) is dict:
        # A chain of a thousand steps has a thousand of them in every message, nearly all of them flat.
        for item in value.values():
            if type(item) not in ATOMS:
                return {key: _inner_to_wire(item) for key, item in value.items()}
        return value
    if isinstance(value, Signatures):
        return [signature_to_wire(spec) for spec in value]
    return dict(value) if isinstance(value, Mapping) and not isinstance(value, dict) else value


def signature_from_wire(wire: Any, where: str = "signature") -> SignatureSpec:
    """Read one signature dict; signatures inside its arguments and options stay dicts."""
    if type(wire) is not dict and not isinstance(wire, Mapping):
        raise DecodeError(f"{where}: expected a signature, got {type(wire).__name__}")
    task = wire.get("task")
    if type(task) is not str or not task:
        raise DecodeError(f"{where}.task: expected a task's name")
    args = wire.get("args") or ()
    if not isinstance(args, list | tuple):
        raise DecodeError(f"{where}.args: expected a list, got {type(args).__name__}")
    kwargs, options = wire.get("kwargs") or {}, wire.get("options") or {}
    for name, table in (("kwargs", kwargs), ("options", options)):
        if not isinstance(table, dict):
            raise DecodeError(f"{where}.{name}: expected an object, got {type(table).__name__}")
    subtask_type, chord_size = wire.get("subtask_type"), wire.get("chord_size")
    if subtask_type is not None and type(subtask_type) is not str:
        raise DecodeError(f"{where}.subtask_type: expected a string, got {type(subtask_type).__name__}")
    if chord_size is not None and type(chord_size) is not int:
        raise DecodeError(f"{where}.chord_size: expected a number, got {type(chord_size).__name__}")
    return SignatureSpec(
        task=task,
        args=tuple(args),
        kwargs=kwargs,
        options=options,
        subtask_type=subtask_type,
        immutable=bool(wire.get("immutable")),
        chord_size=chord_size,
    )
