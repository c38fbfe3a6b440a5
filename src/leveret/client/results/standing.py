"""Where a workflow stands: each of its tasks with its state, and of some that have not ended what they wait for."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from leveret.client.groups import GroupResult
from leveret.client.results.view import ResultView
from leveret.client.waiting import Awaited
from leveret.logic.insight.codes import ENDED
from leveret.model import state as states
from leveret.model.insight.call import Before, Explanation, Stored

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
    why: Explanation | None = None
    """Why it does not run, or what happened to it; of the one that was asked for, and of those that hold it up."""
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
    def waits(self) -> str:
        """`why` in words, of one that has not ended."""
        return "" if self.why is None or self.why.code in ENDED else str(self.why)

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

    @property
    def alone(self) -> bool:
        """Whether it is one task, and nothing before it is known."""
        return not (self.before or self.members or self.sent)

    def __str__(self) -> str:
        if self.alone and self.why is not None:
            return f"{self.label}: {self.why}"
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
    """The one that is meant, and those that hold it up: they have not ended, and all before them has."""
    asked = [asked_for(one) for one in _open(result)[:MOST_EXPLAINED]]
    if isinstance(result, ResultView) and all(one.id != result.id for one in asked):
        asked.insert(0, asked_for(result))
    return asked


def asked_for(result: ResultView) -> Awaited:
    """What its handle knows, for somebody who asks why."""
    return Awaited(
        result.id,
        result.task_name or None,
        result.queue_known or None,
        stored=_stored(result),
        before=_before(result),
        ignored=result.ignored,
        thorough=True,
    )


def _stored(result: ResultView) -> Stored | None:
    """Its end, if it has been seen: where results are messages nobody else knows."""
    meta = result.known_meta()
    if meta is None:
        return None
    return Stored(
        state=meta.status, attempt=result.known_attempt, terminal=True, name=meta.name or "", worker=meta.worker or "",
        at=None if meta.date_done is None else meta.date_done.timestamp(), seconds=meta.runtime,
        error="" if meta.error is None else f"{meta.error.type}: {meta.error.text}",
    )  # fmt: skip


def _before(result: ResultView) -> Before | None:
    """What has to end before it, as far as its handle knows; it has been looked at."""
    before = result.known_parent
    if isinstance(before, GroupResult):
        members = [one for one in all_of(before) if isinstance(one, ResultView)]
        states_of = {one.id: one.known_state() for one in members}
        failed = tuple(name for name, state in states_of.items() if state in _BAD)
        done = sum(state in states.READY_STATES for state in states_of.values())
        return Before(id=str(before.id), size=len(members), done=done, failed=failed) if done < len(members) else None
    if not isinstance(before, ResultView) or before.ready_known():
        return None
    return Before(id=before.id, state=before.known_state(), label=str(before))


_BAD = frozenset((states.FAILURE, states.REVOKED))


def _open(result: Any) -> list[ResultView]:
    before = result.known_parent
    held_up = [] if before is None else _open(before)
    if held_up:
        return held_up
    if isinstance(result, GroupResult):
        return [one for member in result.results for one in _open(member)]
    return [result] if isinstance(result, ResultView) and not result.ready_known() else []


def standing(result: Any, whys: Mapping[str, Explanation | None], *, ask: bool = True) -> Standing:
    """Describe `result` and all before it; `whys` says it of some ids. `ask`: the store may be asked, which blocks."""
    return _Describing(whys, {one.id for one in all_of(result)}, ask).of(result)


class _Describing:
    """`seen`: ids that are shown already."""

    def __init__(self, whys: Mapping[str, Explanation | None], seen: set[str], ask: bool) -> None:
        self._whys, self._seen, self._ask = whys, seen, ask

    def of(self, result: Any) -> Standing:
        parent = result.known_parent
        before = () if parent is None else (self.of(parent),)
        return self._group(result, before) if isinstance(result, GroupResult) else self._task(result, before)

    def _task(self, result: Any, before: tuple[Standing, ...]) -> Standing:
        self._seen.add(result.id)
        if self._ask:
            result.look_now()
        meta = result.known_meta()
        sent = () if meta is None or not meta.children else result.children
        return Standing(
            id=result.id,
            name=result.task_name or (meta.name if meta is not None else "") or "",
            state=result.known_state(),
            why=self._whys.get(result.id),
            before=before,
            sent=tuple(self.of(child) for child in sent if child.id not in self._seen),
        )

    def _group(self, result: GroupResult, before: tuple[Standing, ...]) -> Standing:
        members = [self.of(member) for member in result.results]
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
