"""Tasks one after the other."""

from collections.abc import Iterable, Mapping
from typing import Any

from leveret.client.canvas.composition import Composition, given, listed
from leveret.client.canvas.groups import group
from leveret.client.canvas.stamping import StampingVisitor, collect, stamp_links
from leveret.client.current import App
from leveret.client.signature import Signature, maybe_signature


@Signature.register_type("chain")
class chain(Composition[Any]):  # noqa: N801 - Celery's name
    """Each task gets the value of the one before; a group with something behind it becomes a chord's header."""

    kind = "chain"

    def __init__(self, *parts: Any, app: App | None = None, **options: Any) -> None:
        """Take the parts one by one, or as one list or generator."""
        self._fill({"tasks": folded(given(parts))}, options, app)

    def apply(self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        first, *rest = folded(self.unchain_tasks())
        result = first.apply((*(args or ()), *self.args), kwargs, **options)
        for step in rest:
            if not result.successful():
                return result
            following = step.apply((result.get(),))
            following.parent, result = result, following
        return result

    def stamp(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> None:
        """Stamp each of its steps."""
        visited = None if visitor is None else visitor.on_chain_start(self, **headers) or {}
        given = collect(headers, visited, self.options, append=append_stamps)
        stamp_links(self, visitor, append_stamps, given)
        for step in self.tasks:
            step.stamp(visitor, append_stamps, **given)
        if visitor is not None:
            visitor.on_chain_end(self, **given)

    def unchain_tasks(self) -> list[Signature[Any]]:
        """Its steps, with the chain's callbacks on the last and its error callbacks on each."""
        steps = [step.clone() for step in self.tasks]
        if steps:
            for callback in listed(self.options.get("link")):
                steps[-1].link(callback)
            for errback in listed(self.options.get("link_error")):
                for step in steps:
                    step.link_error(errback)
        return steps

    def __or__(self, other: Any) -> Any:
        if not isinstance(other, Signature):
            return NotImplemented
        steps = folded([*self.unchain_tasks(), other])
        if len(steps) == 1 and isinstance(steps[0], group) and not self.tasks:
            return steps[0]
        made = chain(steps, app=self._app)
        made["args"], made["immutable"] = self["args"], self["immutable"]
        kept = {name: value for name, value in self.options.items() if name not in ("link", "link_error", "task_id")}
        made.options.update(kept)
        return made


def folded(parts: Iterable[Any]) -> list[Any]:
    """The steps that `a | b | c` makes of them."""
    steps: list[Any] = []
    for part in parts:
        _add(steps, maybe_signature(part))
    return steps


def _add(steps: list[Any], other: Any) -> None:
    if isinstance(other, chain) and not other["args"]:
        for step in other.unchain_tasks():
            _add(steps, step)
    elif isinstance(other, group):
        _add_group(steps, other)
    elif steps and isinstance(steps[-1], group):
        # An empty group is no step.
        steps[-1] = Signature.kinds["chord"](steps[-1], other) if steps[-1].tasks else other
    elif steps and _is_chord(steps[-1]) and not _is_chord(other):
        steps[-1] = steps[-1].followed_by(other)
    else:
        steps.append(other)


def _add_group(steps: list[Any], other: Any) -> None:
    members = other.tasks
    if len(members) == 1 and other.id is None:
        _add(steps, members[0])
    elif not members and steps:
        return
    elif steps and _is_chord(steps[-1]):
        steps[-1] = steps[-1].followed_by(other)
    else:
        steps.append(other)


def _is_chord(signature: Any) -> bool:
    return isinstance(signature, Signature.kinds["chord"])
