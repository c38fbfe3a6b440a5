"""What a workflow comes to, in plain Python: it shares no line with what it judges.

The rules are Celery's, but for these: a member that fails fails the body at once, and so do those that end without a
value (revoked, rejected, ignored); the rest of a chain ends as the step did that failed.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any

from leveret.model.state import FAILURE, REVOKED, SUCCESS
from leveret.testing.simulation.canvas.trees import Chain, Chord, Group, Leaf, Node

GATHERING = 0
"""The number of a task that only gathers."""


def value_of(n: int, given: tuple[Any, ...]) -> str:
    """What task `n` answers when it is called with these arguments."""
    return sha1(json.dumps([n, given]).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Ended:
    state: str
    value: Any = None


@dataclass(slots=True)
class Expected:
    """What must have happened when everything is over."""

    states: dict[int, str] = field(default_factory=dict)
    """Task -> the state it ends in, of those that are sent; None of those that leave nothing."""
    errbacks: Counter[int] = field(default_factory=Counter)
    """Error callback -> how often it is called."""
    unrun: set[int] = field(default_factory=set)
    """Sent, but ended without a run."""


class Model:
    """Evaluates one workflow."""

    def __init__(self) -> None:
        self.expected = Expected()

    def run(self, node: Node, given: tuple[Any, ...] = (), errbacks: tuple[int, ...] = ()) -> Ended:
        match node:
            case Leaf():
                return self._leaf(node, given, errbacks)
            case Chain():
                return self._steps(flat_steps(node, errbacks), given)
            case Group():
                ends = self.members(node, given, errbacks)
                return _together(ends)
        return self._chord(node, given, errbacks)

    def members(self, group: Group, given: tuple[Any, ...], errbacks: tuple[int, ...]) -> list[Ended]:
        """Each member's end; nested groups are laid flat, and what they were told is lost (Celery's rule)."""
        return [self.run(part, given, (*group.errbacks, *errbacks)) for part in flat_members(group.parts)]

    def _leaf(self, leaf: Leaf, given: tuple[Any, ...], errbacks: tuple[int, ...]) -> Ended:
        if leaf.n == GATHERING:
            return Ended(SUCCESS, given[0])
        errbacks = (*leaf.errbacks, *errbacks)
        states = self.expected.states
        match leaf.kind:
            case "fail":
                states[leaf.n] = FAILURE
                self.expected.errbacks.update(errbacks)
                return Ended(FAILURE)
            case "revoked":
                states[leaf.n] = REVOKED
                self.expected.unrun.add(leaf.n)
                return Ended(REVOKED)
            case "reject":
                states[leaf.n] = FAILURE
                return Ended(FAILURE)
            case "ignore":
                states[leaf.n] = ""
                return Ended(FAILURE)
            case "replace":
                assert leaf.sub is not None
                states[leaf.n] = "REPLACED"
                return self._linked(leaf, self._replaced(leaf.sub, errbacks))
        states[leaf.n] = SUCCESS
        return self._linked(leaf, Ended(SUCCESS, value_of(leaf.n, given)))

    def _replaced(self, sub: Node, errbacks: tuple[int, ...]) -> Ended:
        """A task has one value: those of a group, wherever it ends, are gathered by a task of its own."""
        if ends_in_group(sub):
            sub = followed(sub, Leaf(n=GATHERING))
        return self.run(sub, (), errbacks)

    def _linked(self, leaf: Leaf, end: Ended) -> Ended:
        if end.state == SUCCESS:
            for link in leaf.links:
                self.run(link, (end.value,))
        return end

    def _steps(self, steps: list[tuple[Node, tuple[int, ...]]], given: tuple[Any, ...]) -> Ended:
        end = Ended(SUCCESS)
        for step, told in steps:
            end = self.run(step, given, told)
            if end.state != SUCCESS:
                return end
            given = (end.value,)
        return end

    def _chord(self, chord: Chord, given: tuple[Any, ...], errbacks: tuple[int, ...]) -> Ended:
        ends = [self.run(part, given) for part in flat_members(chord.parts)]
        adders = (part for part in chord.parts if isinstance(part, Leaf) and part.kind == "add")
        ends += [self._replaced(adder.sub, ()) for adder in adders if adder.sub is not None]
        told = (*chord.errbacks, *errbacks)
        if any(end.state != SUCCESS for end in ends):
            self._unsent(chord.body, told)
            return Ended(FAILURE)
        return self.run(chord.body, ([end.value for end in ends],), told)

    def _unsent(self, node: Node, errbacks: tuple[int, ...]) -> None:
        """Call the error callbacks of what will not run: of a chain its first step's, of a chord its body's."""
        match node:
            case Leaf():
                self.expected.errbacks.update((*node.errbacks, *errbacks))
            case Chain():
                first, told = flat_steps(node, errbacks)[0]
                self._unsent(first, told)
            case Group():
                for part in flat_members(node.parts):
                    self._unsent(part, (*node.errbacks, *errbacks))
            case Chord():
                self._unsent(node.body, (*node.errbacks, *errbacks))


def flat_members(parts: tuple[Node, ...]) -> list[Node]:
    found: list[Node] = []
    for part in parts:
        found += flat_members(part.parts) if isinstance(part, Group) else [part]
    return found


def flat_steps(chain: Chain, errbacks: tuple[int, ...] = ()) -> list[tuple[Node, tuple[int, ...]]]:
    """Steps with the error callbacks they were told by their chains."""
    return [(step, (*own, *chain.errbacks, *errbacks)) for step, own in bare_steps(chain)]


def bare_steps(chain: Chain) -> list[tuple[Node, tuple[int, ...]]]:
    """Nested chains laid flat; a group with a step behind it is a chord's header, and keeps for its members what it
    was told."""
    steps: list[tuple[Node, tuple[int, ...]]] = []
    for part in chain.parts:
        inner = flat_steps(part) if isinstance(part, Chain) else [(part, ())]
        for step, own in inner:
            if steps and ends_in_group(steps[-1][0]):
                before, told = steps[-1]
                steps[-1] = (followed(_told(before, told), _told(step, own)), ())
            else:
                steps.append((step, own))
    return steps


def ends_in_group(node: Node) -> bool:
    match node:
        case Group():
            return True
        case Chord():
            return ends_in_group(node.body)
        case Chain():
            return ends_in_group(bare_steps(node)[-1][0])
    return False


def followed(node: Node, step: Node) -> Node:
    """With a step behind the group it ends in; what that group was told is for its members."""
    match node:
        case Group():
            members = tuple(_told(one, node.errbacks) for one in flat_members(node.parts))
            return Chord(parts=members, body=step)
        case Chord():
            return Chord(parts=node.parts, body=followed(node.body, step), errbacks=node.errbacks)
        case Chain():
            return Chain(parts=(*node.parts, step), errbacks=node.errbacks)
    raise TypeError(node)


def _told(node: Node, errbacks: tuple[int, ...]) -> Node:
    """The same with further error callbacks."""
    if not errbacks:
        return node
    match node:
        case Leaf():
            return Leaf(
                n=node.n, kind=node.kind, errbacks=(*node.errbacks, *errbacks), links=node.links, sub=node.sub,
                options=node.options, seconds=node.seconds,
            )  # fmt: skip
        case Chain():
            return Chain(parts=node.parts, errbacks=(*node.errbacks, *errbacks))
        case Group():
            return Group(parts=node.parts, errbacks=(*node.errbacks, *errbacks))
    return Chord(parts=node.parts, body=node.body, errbacks=(*node.errbacks, *errbacks))


def _together(ends: list[Ended]) -> Ended:
    if any(end.state != SUCCESS for end in ends):
        return Ended(FAILURE)
    return Ended(SUCCESS, [end.value for end in ends])
