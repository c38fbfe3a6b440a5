"""Compositions as data: which calls begin one, and what each of them carries along for later.

The law: every id is computed from the id of the whole and the place of the part in it. So whoever plans a composition
a second time (a replay, another worker) names the same messages, and the door stops the copies.

`freeze` gives the ids, `start` answers the calls to send now. What comes later travels in Celery's own fields: the rest
of a chain and the body of a chord as signatures in the options of each call (`chain`, `chord`, `group_id`,
`group_index`), because a Celery worker drops any header of ours on the way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from leveret.logic.canvas.signatures import (
    CHAIN,
    CHORD,
    NONE,
    TAIL,
    body_of,
    chord_of,
    ends_in_group,
    group_of,
    hang,
    kind,
    others,
    parts,
    read_spec,
    read_specs,
    spread,
    with_lead,
    with_options,
)
from leveret.logic.ids import derive
from leveret.model.message import Header
from leveret.model.signature import SignatureSpec

ACCUMULATE = "celery.accumulate"
BEGIN = "leveret.begin"
"""The task that a whole composition takes the place of, where one message must stand for it."""
CHORD_TIMEOUT = "leveret.chord_timeout"
SETTLE_AGAIN = "leveret.settle_again"
"""The task of a message that says what follows another's outcome, and is never run (`worker/steps.py`)."""
_DELAYS = frozenset(("countdown", "eta"))


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How a composition begins."""

    headers: bool = True
    """False: a chord is taken to begin with its body, because its header will never be sent."""
    timeout: float | None = None
    """Seconds after which a chord that is not complete has failed."""
    begun: list[Header] | None = None
    """Where the chords are noted whose headers begin now."""


PLAINLY = How()
UNSENT = How(headers=False)


# Ids


def freeze(spec: SignatureSpec, id: str, later: Mapping[str, Any] = NONE, seed: str = "") -> SignatureSpec:
    """The same with the id of every result in it. `id` is that of its own result, where it does not say one itself.

    A chain's result is its last step's, a chord's its body's, a group's is the group. `later` are options for calls
    that do not begin at once. The other ids are computed from `seed`, which is the id where there is no other.
    """
    return _freeze(spec, id, seed or str(spec.options.get("task_id") or id), _Later(later, begins=True))


@dataclass(frozen=True, slots=True)
class _Later:
    options: Mapping[str, Any]
    begins: bool

    def after(self, begins: bool) -> "_Later":
        return self if begins == self.begins else _Later(self.options, begins=begins and self.begins)


def _freeze(spec: SignatureSpec, id: str, seed: str, later: _Later) -> SignatureSpec:
    match kind(spec):
        case "chain":
            return _freeze_chain(spec, id, seed, later)
        case "group" | "chunks":
            options = dict(spec.options)
            own = options["task_id"] = str(options.get("task_id") or id)
            frozen = group_of(_freeze_all(parts(spec), own, later), options)
            return msgspec.structs.replace(frozen, args=spec.args)
        case "chord":
            return _freeze_chord(spec, id, seed, later)
    options = dict(spec.options) if later.begins else {**later.options, **spec.options}
    if not options.get("task_id"):
        options["task_id"] = id
    return msgspec.structs.replace(spec, options=options)


def _freeze_all(members: tuple[SignatureSpec, ...], group: str, later: _Later) -> tuple[SignatureSpec, ...]:
    ids = (derive(group, "member", place) for place in range(len(members)))
    return tuple(_freeze(member, own, own, later) for member, own in zip(members, ids, strict=True))


def _freeze_chain(spec: SignatureSpec, id: str, seed: str, later: _Later) -> SignatureSpec:
    steps = parts(spec)
    if not steps:
        raise ValueError("an empty chain cannot be sent")
    own, last = str(spec.options.get("task_id") or id), len(steps) - 1
    frozen = []
    for place, step in enumerate(steps):
        placed = derive(seed, "step", place)
        # The last step has the chain's id, but its parts must not have the ids of the chain's own.
        frozen.append(_freeze(step, own if place == last else placed, placed, later.after(begins=not place)))
    options = {name: value for name, value in spec.options.items() if name != "task_id"}
    kwargs = {"tasks": tuple(frozen)}
    return msgspec.structs.replace(spec, task="celery.chain", subtask_type=CHAIN, kwargs=kwargs, options=options)


def _freeze_chord(spec: SignatureSpec, id: str, seed: str, later: _Later) -> SignatureSpec:
    options = dict(spec.options)
    own, header, body = options.pop("task_id", None), _header_options(spec), body_of(spec)
    join = header.get("task_id")
    # Celery's freeze writes the header's id on the chord too.
    result = str(own if own and own != join else id)
    join = str(join or derive(seed, "join"))
    frozen = group_of(_freeze_all(parts(spec), join, later), {**header, "task_id": join})
    ended = _freeze(body, result, derive(seed, "body"), later.after(begins=False))
    kwargs = {**spec.kwargs, "header": frozen, "body": ended}
    return msgspec.structs.replace(spec, task="celery.chord", subtask_type=CHORD, kwargs=kwargs, options=options)


def _header_options(chord: SignatureSpec) -> Mapping[str, Any]:
    header = chord.kwargs.get("header")
    return read_spec(header).options if isinstance(header, Mapping | SignatureSpec) else NONE


def join_of(chord: SignatureSpec) -> str:
    """The id of a frozen chord's header: the name of its join."""
    return str(_header_options(chord)["task_id"])


# Beginning


def start(
    spec: SignatureSpec, lead: tuple[Any, ...] = (), named: Mapping[str, Any] = NONE, *, how: How = PLAINLY
) -> Iterator[SignatureSpec]:
    """The calls that begin a frozen composition, complete with arguments and all they carry."""
    match kind(spec):
        case "chain":
            return _start_chain(spec, lead, named, how)
        case "group":
            return _start_group(spec, lead, named, how)
        case "chord":
            return _start_chord(spec, lead, named, how)
    return iter((with_lead(spec, lead, named),))


def _start_chain(
    spec: SignatureSpec, lead: tuple[Any, ...], named: Mapping[str, Any], how: How
) -> Iterator[SignatureSpec]:
    steps = list(parts(spec))
    spread(spec, steps)
    behind = (*read_specs(spec.options.get("chain")), *reversed(steps[1:]))
    first = hang(steps[0], {"chain": behind}) if behind else steps[0]
    return start(first, _leading(spec, lead), named, how=how)


def _start_group(
    spec: SignatureSpec, lead: tuple[Any, ...], named: Mapping[str, Any], how: How
) -> Iterator[SignatureSpec]:
    if _seated_apart(spec):
        apart = {name: value for name, value in spec.options.items() if name not in TAIL}
        yield from _members_of(msgspec.structs.replace(spec, options=apart), {}, (_leading(spec, lead), named), how)
        return
    if spec.options.get("chain") or spec.options.get("chord") is not None:
        if how.headers:
            yield from start(_gathered(spec), lead, named, how=how)
            return
        # Its members are to be told too: they have error callbacks of their own.
        alone = {name: value for name, value in spec.options.items() if name not in (*TAIL, "chain")}
        yield from _members_of(msgspec.structs.replace(spec, options=alone), {}, (lead, named), how)
        yield from start(_gathered(spec), lead, named, how=how)
        return
    yield from _members_of(spec, {}, (_leading(spec, lead), named), how)


def _seated_apart(group: SignatureSpec) -> bool:
    """Whether its members have seats of their own, as in Celery's chords: its client counts each of them, and gives
    each the body. In ours the body says for how many seats it waits."""
    chord = group.options.get("chord")
    return chord is not None and read_spec(chord).chord_size is None


def _as_one(spec: SignatureSpec) -> SignatureSpec:
    """What ends in a group, with somebody who gathers its values: so it takes one seat on a Celery worker too. What it
    was told is where it will be in the end: of a group, with its members."""
    options = spec.options
    match kind(spec):
        case "chain":
            steps = list(parts(spec))
            spread(spec, steps)
            steps[-1] = _as_one(steps[-1])
            left = {name: options[name] for name in ("task_id", "chain") if name in options}
            return msgspec.structs.replace(spec, kwargs={"tasks": tuple(steps)}, options=left)
        case "chord":
            kwargs = {**spec.kwargs, "body": _as_one(_told(spec))}
            return msgspec.structs.replace(spec, kwargs=kwargs, options=others(options))
        case "group":
            return _gathered(spec)
    return spec


def _gathered(group: SignatureSpec) -> SignatureSpec:
    """A group that is waited for as a whole is the header of a chord: somebody gathers what its members answer."""
    options = group.options
    behind = read_specs(options.get("chain"))
    own = derive(str(options["task_id"]), "gathered")
    gather = behind[-1] if behind else SignatureSpec(task=ACCUMULATE, kwargs={"index": 0}, options={"task_id": own})
    carried = {name: options[name] for name in TAIL if name in options}
    if behind[:-1]:
        carried["chain"] = behind[:-1]
    kept = {name: value for name, value in options.items() if name not in TAIL and name != "chain"}
    return freeze(chord_of(msgspec.structs.replace(group, options=kept), hang(gather, carried)), own)


def _members_of(
    group: SignatureSpec, seat: Mapping[str, Any], given: tuple[tuple[Any, ...], Mapping[str, Any]], how: How
) -> Iterator[SignatureSpec]:
    options, shared = group.options, others(group.options)
    callbacks, errbacks = options.get("link"), options.get("link_error")
    for place, member in enumerate(parts(group)):
        own = {"group_id": options["task_id"], "group_index": place}
        if not seat and "chord" in member.options:
            own = {}  # one of Celery's, which has its seat already
        placed = with_options(member, {**shared, **seat, **own})
        if errbacks:
            placed = hang(placed, {"link_error": errbacks})
        if callbacks and not place:
            # Celery's rule: a callback of a group hangs on its first member, without its value.
            unfed = [msgspec.structs.replace(one, immutable=True) for one in read_specs(callbacks)]
            placed = hang(placed, {"link": unfed})
        if kind(placed) is None:
            yield with_lead(placed, *given)
            continue
        if seat and ends_in_group(placed):
            placed = _as_one(placed)
        yield from start(placed, *given, how=how)


def _start_chord(
    spec: SignatureSpec, lead: tuple[Any, ...], named: Mapping[str, Any], how: How
) -> Iterator[SignatureSpec]:
    options, header = spec.options, read_spec(spec.kwargs["header"])
    body = _told(spec)
    size = len(parts(header))
    if not size or not how.headers:
        if size and body.options.get("task_id") == derive(str(header.options["task_id"]), "gathered"):
            # A group that `_as_one` has put in a chord: its members are to be told too.
            yield from _members_of(header, {}, (lead, named), how)
        yield from start(body, ([],), how=how)
        return
    header = with_options(header, others(options))
    named = {**named, **(spec.kwargs.get("kwargs") or {})}
    sized = msgspec.structs.replace(body, chord_size=size)
    if how.begun is not None:
        how.begun.append(Header(str(header.options["task_id"]), size))
    if how.timeout is not None:
        yield _watch(header, sized, how.timeout)
    yield from _members_of(header, {"chord": sized}, (_leading(spec, lead), named), how)


def _told(chord: SignatureSpec) -> SignatureSpec:
    """A chord's body, with what the chord was told for it."""
    options = chord.options
    carried = {name: options[name] for name in (*TAIL, "link_error", "chain") if name in options}
    # What delays a chord delays its header; the body comes when the header is done.
    return hang(with_options(body_of(chord), others(options, _DELAYS)), carried)


def _watch(header: SignatureSpec, body: SignatureSpec, seconds: float) -> SignatureSpec:
    """What the broker keeps until a chord must be over: whoever gets it closes a join that is still open."""
    join = str(header.options["task_id"])
    options = {name: header.options[name] for name in ("queue",) if header.options.get(name)}
    options |= {"task_id": derive(join, "timeout"), "countdown": seconds, "ignore_result": True}
    options |= {"chord": body, "group_id": join, "group_index": 0}
    return SignatureSpec(task=CHORD_TIMEOUT, args=(seconds,), options=options)


def _leading(spec: SignatureSpec, lead: tuple[Any, ...]) -> tuple[Any, ...]:
    return spec.args if spec.immutable else (*lead, *spec.args)


# What it comes to


def results(spec: SignatureSpec) -> Iterator[SignatureSpec]:
    """The calls whose results a frozen composition's result is made of: the last step, the body, each member."""
    match kind(spec):
        case "chain":
            yield from results(parts(spec)[-1])
        case "group":
            for member in parts(spec):
                yield from results(member)
        case "chord":
            yield from results(body_of(spec))
        case _:
            yield spec


def ids_in(spec: SignatureSpec) -> Iterator[str]:
    """The ids that parts of it have been given already."""
    if spec.options.get("task_id"):
        yield str(spec.options["task_id"])
    if kind(spec) is not None:
        for part in parts(spec):
            yield from ids_in(part)


def needs_join(spec: SignatureSpec) -> bool:
    """Whether anything in it waits for several others."""
    return kind(spec) == CHORD or any(map(needs_join, parts(spec)))
