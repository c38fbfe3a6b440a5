"""Where a workflow stands: each of its tasks with its state, and of some that have not ended what they wait for."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from leveret.client.groups import GroupResult
from leveret.client.results.view import ResultView
from leveret.client.waiting import Awaited
from leveret.model import state as states

MOST_EXPLAINED = 3
"""Tasks that broker and nodes are asked about: each costs a few round trips."""
MOST_SHOWN = 20
"""Members of a group that are shown one by one; those that have not succeeded come first."""


class Standing(Struct, frozen=True, kw_only=True):
    """One task, or a group with its members, as it stands."""

    id: str
    name: str
    """Empty where it is not known: the store keeps it only with `result_extended`."""
    state: str
    waits: str = ""
    """What it waits for, of those that were asked about."""
    before: "tuple[Standing, ...]" = ()
    """What had to end before it, in order."""
    members: "tuple[Standing, ...]" = ()
    """Of a group: those that are shown."""
    size: int = 0
    """Of a group: how many members it has."""
    done: int = 0
    """Of a group: how many have succeeded."""
    sent: "tuple[Standing, ...]" = ()
    """What it sent itself, and what followed it."""

    @property
    def label(self) -> str:
        if self.size:
            return f"group of {self.size}: {self.done} done"
        return f"{self.name or 'task'}[{self.id}] {self.state}"

    def lines(self, depth: int = 0) -> Iterator[str]:
        """As an indented tree: what comes first stands first."""
        for one in self.before:
            yield from one.lines(depth)
        yield f"{'  ' * depth}{self.label}" + (f": {self.waits}" if self.waits else "")
        for one in (*self.members, *self.sent):
            yield from one.lines(depth + 1)
        if len(self.members) < self.size:
            yield f"{'  ' * (depth + 1)}... and {self.size - len(self.members)} more"

    def __str__(self) -> str:
        return "\n".join(self.lines())


def all_of(result: Any) -> Iterator[ResultView]:
    """Every single result that `result` hangs on, as far as its handle knows, first things first."""
    before = result.known_parent
    if before is not None:
        yield from all_of(before)
    if isinstance(result, GroupResult):
        for member in result.results:
            yield from all_of(member)
    elif isinstance(result, ResultView):
        yield result


def to_ask(result: Any) -> list[Awaited]:
    """Those that hold the others up: they have not ended, and all before them has."""
    return [Awaited(one.id, one.task_name, one.queue_known or None) for one in _open(result)[:MOST_EXPLAINED]]


def _open(result: Any) -> list[ResultView]:
    before = result.known_parent
    held_up = [] if before is None else _open(before)
    if held_up:
        return held_up
    if isinstance(result, GroupResult):
        return [one for member in result.results for one in _open(member)]
    return [result] if isinstance(result, ResultView) and not result.ready_known() else []


def standing(result: Any, waits: Mapping[str, str], seen: set[str] | None = None) -> Standing:
    """Describe `result` and all before it; `waits` says of some ids what they wait for."""
    seen = {one.id for one in all_of(result)} if seen is None else seen
    parent = result.known_parent
    before = () if parent is None else (standing(parent, waits, seen),)
    if isinstance(result, GroupResult):
        return _group(result, waits, seen, before)
    seen.add(result.id)
    meta = result.look_now()
    sent = tuple(
        standing(child, waits, seen) for child in (result.children or ()) if meta is not None and child.id not in seen
    )
    return Standing(
        id=result.id,
        name=result.task_name or (meta.name if meta is not None else "") or "",
        state=states.PENDING if meta is None else meta.status,
        waits=waits.get(result.id, ""),
        before=before,
        sent=sent,
    )


def _group(result: GroupResult, waits: Mapping[str, str], seen: set[str], before: tuple[Standing, ...]) -> Standing:
    members = [standing(member, waits, seen) for member in result.results]
    done = sum(one.state == states.SUCCESS for one in members)
    open_first = sorted(members, key=lambda one: one.state == states.SUCCESS)
    shown = tuple(members if len(members) <= MOST_SHOWN else open_first[:MOST_SHOWN])
    state = states.SUCCESS if done == len(members) else states.PENDING
    return Standing(
        id=str(result.id), name="group", state=state, before=before, members=shown, size=len(members), done=done
    )


def mermaid(top: Standing) -> str:
    """The same as a Mermaid flowchart."""
    lines, numbers = ["graph TD"], dict[str, str]()
    _chart(top, [], lines, numbers)
    return "\n".join(lines)


def _chart(one: Standing, above: list[str], lines: list[str], numbers: dict[str, str]) -> list[str]:
    """Draw it below `above`; answers what comes next hangs below."""
    for before in one.before:
        above = _chart(before, above, lines, numbers)
    if one.size:
        return [end for member in one.members for end in _chart(member, above, lines, numbers)] or above
    known = one.id in numbers
    name = numbers.setdefault(one.id, f"n{len(numbers)}")
    if not known:
        lines.append(f'  {name}["{one.name or one.id} {one.state}"]')
    lines.extend(f"  {parent} --> {name}" for parent in above)
    for child in one.sent:
        _chart(child, [name], lines, numbers)
    return [name]
