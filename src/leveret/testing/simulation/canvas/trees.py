"""Random workflows: up to sixty tasks in any nesting, some failing, retried, replaced or revoked."""

import random
from dataclasses import dataclass, field
from typing import Any

from leveret.model.signature import SignatureSpec
from leveret.testing.simulation.work import QUEUES

MOST = 60
"""Tasks in one workflow, error callbacks not counted."""

KINDS = (
    ("ok", 60), ("flaky", 8), ("quiet", 6), ("fail", 4), ("replace", 5), ("revoked", 2), ("reject", 1), ("ignore", 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One task. `sub` takes its place where `kind` is `replace`, and is added to its chord where it is `add`."""

    n: int
    kind: str = "ok"
    errbacks: tuple[int, ...] = ()
    links: "tuple[Leaf, ...]" = ()
    sub: "Node | None" = None
    options: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    parts: "tuple[Node, ...]"
    errbacks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    parts: "tuple[Node, ...]"
    errbacks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    parts: "tuple[Node, ...]"
    body: "Node"
    errbacks: tuple[int, ...] = ()


Node = Leaf | Chain | Group | Chord


class Forester:
    """Draws one workflow; `n` numbers its tasks and error callbacks."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._left = dice.choice((3, 8, 15, 30, MOST))
        self._calm = dice.random() < 0.35
        """Nothing fails in it, so that the innermost of deep workflows is reached."""
        self._replacing = 0
        self._adding = 0
        self._n = 0

    def draw(self) -> Node:
        return self._composed(0)

    def _number(self) -> int:
        self._n += 1
        return self._n

    def _node(self, depth: int) -> Node:
        if self._left <= 0 or depth > 5 or self._dice.random() < 0.25 + 0.12 * depth:
            return self._leaf(depth)
        return self._composed(depth)

    def _composed(self, depth: int) -> Node:
        dice = self._dice
        match dice.choice(("chain", "group", "chord", "chord")):
            case "chain":
                return Chain(parts=self._some(depth, 1, 4), errbacks=self._errbacks(0.1))
            case "group":
                return Group(parts=self._some(depth, 2, 4), errbacks=self._errbacks(0.1))
        lowest = 0 if dice.random() < 0.1 else 1
        parts = list(self._some(depth, lowest, 5))
        if dice.random() < 0.2:
            parts.insert(dice.randint(0, len(parts)), self._adder(depth))
        return Chord(parts=tuple(parts), body=self._node(depth + 1), errbacks=self._errbacks(0.2))

    def _adder(self, depth: int) -> Leaf:
        """One that adds a member. Of several in one header nobody could say which is the first."""
        self._left -= 1
        self._adding += 1
        sub = self._later(depth)
        self._adding -= 1
        return Leaf(n=self._number(), kind="add", sub=sub, seconds=round(self._dice.expovariate(3.0), 4))

    def _later(self, depth: int) -> "Node":
        """What is sent by a task."""
        self._replacing += 1
        sub = self._node(depth + 2)
        self._replacing -= 1
        return sub

    def _some(self, depth: int, least: int, most: int) -> tuple[Node, ...]:
        return tuple(self._node(depth + 1) for _ in range(self._dice.randint(least, most)))

    def _leaf(self, depth: int, *, plain: bool = False) -> Leaf:
        dice = self._dice
        self._left -= 1
        kinds = [kind for kind, _ in KINDS]
        kind = dice.choices(kinds, [weight for _, weight in KINDS])[0]
        if self._replacing and kind == "revoked":
            # Its id is not known before the task runs that it is a part of the replacement of.
            kind = "ok"
        if self._adding and kind == "ignore":
            # It leaves nothing, so it runs again where the task that adds it does.
            kind = "ok"
        if plain or (self._calm and kind not in ("flaky", "quiet", "replace")):
            kind = "ok"
        sub = None
        if kind == "replace":
            sub = self._later(depth)
        links = tuple(self._leaf(9, plain=True) for _ in range(1)) if not plain and dice.random() < 0.05 else ()
        return Leaf(
            n=self._number(),
            kind=kind,
            errbacks=self._errbacks(0.2),
            links=links,
            sub=sub,
            options={"queue": dice.choice(QUEUES)} if dice.random() < 0.7 else {},
            seconds=round(dice.expovariate(3.0), 4),
        )

    def _errbacks(self, chance: float) -> tuple[int, ...]:
        return (self._number(),) if self._dice.random() < chance else ()


# As signatures


def to_spec(node: Node) -> SignatureSpec:
    match node:
        case Leaf():
            return _call(node)
        case Chain(parts=parts):
            return _composed("chain", {"tasks": tuple(map(to_spec, parts))}, node.errbacks)
        case Group(parts=parts):
            return _composed("group", {"tasks": tuple(map(to_spec, parts))}, node.errbacks)
    kwargs = {"header": tuple(map(to_spec, node.parts)), "body": to_spec(node.body), "kwargs": {}}
    return _composed("chord", kwargs, node.errbacks)


def _composed(kind: str, kwargs: dict[str, Any], errbacks: tuple[int, ...]) -> SignatureSpec:
    return SignatureSpec(task=f"celery.{kind}", kwargs=kwargs, options=_hung(errbacks), subtask_type=kind)


def _call(leaf: Leaf) -> SignatureSpec:
    task = {"revoked": "ok"}.get(leaf.kind, leaf.kind)
    options = {**leaf.options, **_hung(leaf.errbacks)}
    if leaf.links:
        options["link"] = tuple(map(_call, leaf.links))
    return SignatureSpec(task=task, kwargs={"n": leaf.n, "seconds": leaf.seconds}, options=options)


def _hung(errbacks: tuple[int, ...]) -> dict[str, Any]:
    specs = tuple(SignatureSpec(task="errback", kwargs={"n": n}) for n in errbacks)
    return {"link_error": specs} if specs else {}


def leaves(node: Node) -> list[Leaf]:
    """Every task in it, those of replacements and links included."""
    match node:
        case Leaf():
            below = [] if node.sub is None else leaves(node.sub)
            return [node, *below, *node.links]
        case Chord():
            return [one for part in (*node.parts, node.body) for one in leaves(part)]
    return [one for part in node.parts for one in leaves(part)]
