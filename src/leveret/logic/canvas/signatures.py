"""Signatures of compositions as values: which parts they have, how options and arguments are laid over them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from leveret.logic.wire.steps import Steps
from leveret.model.signature import SignatureSpec

CHAIN, GROUP, CHORD, CHUNKS = "chain", "group", "chord", "chunks"
MAP, STARMAP = "celery.map", "celery.starmap"
MAPS = (MAP, STARMAP)

_NAMES = {"celery.chain": CHAIN, "celery.group": GROUP, "celery.chord": CHORD, "celery.chunks": CHUNKS}
_COMPOSED = frozenset(_NAMES.values())
_SEAT = ("chord", "group_id", "group_index")
TAIL = (*_SEAT, "link", "retries", "replaced_task_nesting")
"""Options of a composition that are its last part's."""
_SPECS = {SignatureSpec}
_LISTS = frozenset(("link", "link_error"))
_NOBODYS = frozenset((*TAIL, "link_error", "chain", "task_id"))
"""Options that `start` places; all others go to the calls that begin (Celery's rule)."""
NONE: Mapping[str, Any] = {}


# Reading


def kind(spec: SignatureSpec) -> str | None:
    """Which composition it is; None: a call. Celery leaves the type of some to be told by the name."""
    if spec.subtask_type in _COMPOSED:
        return spec.subtask_type
    return _NAMES.get(spec.task) if spec.task.startswith("celery.") else None


def read_spec(value: Any) -> SignatureSpec:
    """A signature as it stands in arguments and options: Celery's dict, or a value already."""
    if isinstance(value, SignatureSpec):
        return value
    return SignatureSpec(
        task=value["task"],
        args=tuple(value.get("args") or ()),
        kwargs=value.get("kwargs") or {},
        options=value.get("options") or {},
        subtask_type=value.get("subtask_type"),
        immutable=bool(value.get("immutable")),
        chord_size=value.get("chord_size"),
    )


def read_specs(value: Any) -> Sequence[SignatureSpec]:
    """One signature, several, or none."""
    if not value:
        return ()
    if type(value) is Steps or (type(value) is tuple and set(map(type, value)) == _SPECS):
        return value
    if isinstance(value, Mapping | SignatureSpec):
        return (read_spec(value),)
    return tuple(map(read_spec, value))


def parts(spec: SignatureSpec) -> tuple[SignatureSpec, ...]:
    """The steps of a chain, the members of a group, the header of a chord; nested ones laid flat as Celery does."""
    match kind(spec):
        case "chain":
            return _steps(spec)
        case "group":
            return tuple(flat(read_specs(spec.kwargs.get("tasks"))))
        case "chord":
            header = spec.kwargs.get("header")
            return tuple(flat(read_specs(header)))
        case "chunks":
            return _portions(spec)
    return ()


def body_of(chord: SignatureSpec) -> SignatureSpec:
    """Raises ValueError where a chord has none."""
    body = chord.kwargs.get("body")
    if body is None:
        raise ValueError("a chord without a body cannot be sent: chord(header, body), or chord(header)(body)")
    return read_spec(body)


def flat(specs: Iterable[SignatureSpec]) -> Iterator[SignatureSpec]:
    for one in specs:
        if one.subtask_type is None and not one.task.startswith("celery."):
            yield one
            continue
        of = kind(one)
        if of in (GROUP, CHUNKS):
            yield from parts(one)
        elif of != CHAIN or read_specs(one.kwargs.get("tasks")):
            yield one


def _portions(spec: SignatureSpec) -> tuple[SignatureSpec, ...]:
    """`chunks` is a group whose members call the task for a portion each."""
    task, items, size = spec.kwargs["task"], list(spec.kwargs["it"]), int(spec.kwargs["n"])
    portions = (items[start : start + size] for start in range(0, len(items), size))
    return tuple(
        SignatureSpec(task=STARMAP, kwargs={"task": task, "it": portion}, immutable=True) for portion in portions
    )


def _steps(chain: SignatureSpec) -> tuple[SignatureSpec, ...]:
    """Nested chains opened; a group with a step behind it is a chord's header."""
    steps: list[SignatureSpec] = []
    for part in read_specs(chain.kwargs.get("tasks")):
        for step in _opened(part) if kind(part) == CHAIN else (part,):
            _append(steps, step)
    return tuple(steps)


def _append(steps: list[SignatureSpec], step: SignatureSpec) -> None:
    if kind(step) in (GROUP, CHUNKS):
        members = parts(step)
        if len(members) == 1 and not step.options.get("task_id"):
            step = members[0]
        elif not members and steps:
            # An empty group among steps does nothing.
            return
    if steps and ends_in_group(steps[-1]):
        steps[-1] = followed(steps[-1], step)
    else:
        steps.append(step)


def _opened(chain: SignatureSpec) -> tuple[SignatureSpec, ...]:
    """The steps of a chain inside a chain, with what the chain was told."""
    steps = list(_steps(chain))
    if steps:
        spread(chain, steps)
        steps[0] = with_lead(steps[0], chain.args, NONE)
        if chain.options.get("task_id"):
            steps[-1] = with_options(steps[-1], {"task_id": chain.options["task_id"]})
    return tuple(steps)


def spread(chain: SignatureSpec, steps: list[SignatureSpec]) -> None:
    options = chain.options
    errbacks = options.get("link_error")
    if errbacks:
        steps[:] = [hang(step, {"link_error": errbacks}) for step in steps]
    steps[-1] = hang(steps[-1], {name: options[name] for name in TAIL if name in options})
    steps[0] = with_options(steps[0], others(options))


def ends_in_group(spec: SignatureSpec) -> bool:
    """Whether what it comes to is several results."""
    match kind(spec):
        case "group" | "chunks":
            return True
        case "chord":
            return ends_in_group(body_of(spec))
        case "chain":
            steps = parts(spec)
            return bool(steps) and ends_in_group(steps[-1])
    return False


# Making


def followed(spec: SignatureSpec, step: SignatureSpec) -> SignatureSpec:
    """What ends in a group, with a step behind it that gets the values of all: that group is a chord's header."""
    match kind(spec):
        case "chord":
            return msgspec.structs.replace(spec, kwargs={**spec.kwargs, "body": followed(body_of(spec), step)})
        case "chain":
            *before, last = parts(spec)
            return msgspec.structs.replace(spec, kwargs={"tasks": (*before, followed(last, step))})
    # An empty group is no step.
    return chord_of(spec, step) if parts(spec) else step


def chord_of(header: SignatureSpec, body: SignatureSpec) -> SignatureSpec:
    """The chord that a group and the step behind it are."""
    return SignatureSpec(task="celery.chord", kwargs={"header": header, "body": body, "kwargs": {}}, subtask_type=CHORD)


def group_of(members: tuple[SignatureSpec, ...], options: Mapping[str, Any]) -> SignatureSpec:
    return SignatureSpec(task="celery.group", kwargs={"tasks": members}, options=options, subtask_type=GROUP)


def with_options(spec: SignatureSpec, options: Mapping[str, Any]) -> SignatureSpec:
    return msgspec.structs.replace(spec, options={**spec.options, **options}) if options else spec


def hang(spec: SignatureSpec, options: Mapping[str, Any]) -> SignatureSpec:
    """Lay options over its own; callbacks are added to its own, and so is what is to come behind it."""
    if not options:
        return spec
    own = dict(spec.options)
    for name, value in options.items():
        if name in _LISTS:
            hung = read_specs(own.get(name))
            own[name] = (*hung, *(one for one in read_specs(value) if one not in hung))
        elif name == "chain":
            # Its own chain runs first: as on the wire, the next step stands last.
            before = read_specs(own.get(name))
            own[name] = (*read_specs(value), *before) if before else read_specs(value)
        elif value is not None:
            own[name] = value
    return msgspec.structs.replace(spec, options=own)


def with_lead(spec: SignatureSpec, lead: tuple[Any, ...], named: Mapping[str, Any]) -> SignatureSpec:
    if spec.immutable or not (lead or named):
        return spec
    if kind(spec) is not None:
        return msgspec.structs.replace(spec, args=(*lead, *spec.args))
    return msgspec.structs.replace(spec, args=(*lead, *spec.args), kwargs={**spec.kwargs, **named})


def others(options: Mapping[str, Any], without: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _NOBODYS and name not in without}
