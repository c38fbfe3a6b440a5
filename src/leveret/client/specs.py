"""Celery's signature dict and our plain value for it, both ways."""

from collections.abc import Iterable, Mapping
from typing import Any

from leveret.logic.wire.jsontags import ATOMS
from leveret.logic.wire.signatures import Signatures
from leveret.model.message import NOTHING_FOLLOWS, Embed
from leveret.model.signature import SignatureSpec

_OF_PARTS = frozenset(("chain", "group", "chord"))
_PARTS = frozenset(("tasks", "header"))


def to_spec(signature: Mapping[str, Any] | SignatureSpec) -> SignatureSpec:
    """Read a signature (a `Signature` is its own dict)."""
    if isinstance(signature, SignatureSpec):
        return signature
    subtask_type = signature.get("subtask_type")
    return SignatureSpec(
        task=signature["task"],
        args=tuple(signature.get("args") or ()),
        kwargs=(_parts if subtask_type in _OF_PARTS else plain)(signature.get("kwargs") or {}),
        options=plain(signature.get("options") or {}),
        subtask_type=subtask_type,
        immutable=bool(signature.get("immutable")),
        chord_size=signature.get("chord_size"),
    )


def _parts(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a composition is made of. Its parts are read once: a group may have ten thousand."""
    return {name: _part(value) if name in _PARTS else plain(value) for name, value in kwargs.items()}


def _part(value: Any) -> Any:
    return to_spec(value) if isinstance(value, Mapping | SignatureSpec) else tuple(map(to_spec, value or ()))


def from_spec(spec: SignatureSpec) -> dict[str, Any]:
    """Write a signature in Celery's JSON shape."""
    written: dict[str, Any] = {
        "task": spec.task,
        "args": list(spec.args),
        "kwargs": plain(spec.kwargs),
        "options": plain(spec.options),
        "subtask_type": spec.subtask_type,
        "immutable": spec.immutable,
    }
    if spec.chord_size is not None:
        written["chord_size"] = spec.chord_size
    return written


def plain(value: Any) -> Any:
    """The same value with every signature in it as an ordinary dict, so that any serializer writes it."""
    kind = type(value)
    if kind in ATOMS:
        return value
    if kind is dict:
        # Nearly all are flat, and a group may have ten thousand of them.
        for part in value.values():
            if type(part) not in ATOMS:
                return {key: plain(part) for key, part in value.items()}
        return value.copy()
    if isinstance(value, SignatureSpec):
        return from_spec(value)
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | Signatures):
        return [plain(part) for part in value]
    return value


def many(value: Any) -> tuple[SignatureSpec, ...]:
    """Read one signature, several, or none."""
    if not value:
        return ()
    if isinstance(value, Mapping | SignatureSpec):
        return (to_spec(value),)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(to_spec(one) for one in value)
    raise TypeError(f"{value!r} is no signature: link=task.s(...) or a list of signatures")


def follows(options: Mapping[str, Any]) -> Embed:
    """What the options of a call say is to follow it."""
    if not ("link" in options or "link_error" in options or "chain" in options or "chord" in options):
        return NOTHING_FOLLOWS
    chord = options.get("chord")
    return Embed(
        callbacks=many(options.get("link")),
        errbacks=many(options.get("link_error")),
        chain=many(options.get("chain")),
        chord=None if chord is None else to_spec(chord),
    )
