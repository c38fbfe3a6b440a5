"""Tasks side by side, and one task over many arguments."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leveret.client import options as calls
from leveret.client.canvas.composition import Composition, Plan, given
from leveret.client.canvas.stamping import StampingVisitor, collect, stamp_links
from leveret.client.client import Client
from leveret.client.current import App
from leveret.client.groups import GroupResult
from leveret.client.signature import Signature, maybe_signature
from leveret.client.specs import from_spec, to_spec
from leveret.logic.canvas.signatures import parts as parts_of


@Signature.register_type("group")
class group(Composition[Any]):  # noqa: N801 - Celery's name
    """Tasks side by side, sent in one publish."""

    kind = "group"

    def __init__(self, *parts: Any, app: App | None = None, **options: Any) -> None:
        """Take the parts one by one, or as one list or generator."""
        self._fill({"tasks": given(parts)}, options, app)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Send it, as with Celery."""
        return self.apply_async(args, **options)

    def plan(
        self, client: Client, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Plan:
        if options.get("link"):
            raise TypeError("a group has no single value to pass on: link its tasks, or use a chord")
        return super().plan(client, args, kwargs, options)

    def apply(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> GroupResult:
        lead = (*(args or ()), *self.args)
        results = [part.apply(lead, kwargs) for part in self.tasks]
        return GroupResult(options.get("task_id") or self.id or self.app.client.clock.new_id(), results)

    def link(self, callback: Signature[Any]) -> Signature[Any]:
        """Hang it on the first task, without its value: no task of a group has the values of the others (Celery's
        rule; what is to have them all is a chord's body)."""
        unfed = callback.clone()
        unfed.set_immutable(True)
        self.tasks[0].link(unfed)
        return unfed

    def link_error(self, errback: Signature[Any]) -> Any:
        """Hang it on each task; it is called for each that fails."""
        return tuple(part.link_error(errback.clone()) for part in self.tasks)

    def set_immutable(self, immutable: bool) -> None:
        for part in self.tasks:
            part.set_immutable(immutable)

    def stamp(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> None:
        """Stamp each of its tasks."""
        visited = None if visitor is None else visitor.on_group_start(self, **headers) or {}
        given = collect(headers, visited, self.options, append=append_stamps)
        stamp_links(self, visitor, append_stamps, given)
        for part in self.tasks:
            part.stamp(visitor, append_stamps, **given)
        if visitor is not None:
            visitor.on_group_end(self, **given)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> "group":
        """Delay each task a little more than the one before."""
        moments = _steps_of(start, stop, step)
        self["kwargs"]["tasks"] = [part.clone(countdown=next(moments)) for part in self.tasks]
        return self

    def __or__(self, other: Any) -> Any:
        """`group | task`: a chord."""
        if not isinstance(other, Signature):
            return NotImplemented
        if isinstance(other, group) and not other.tasks:
            return self
        return Signature.kinds["chord"](self, other, app=self._app)

    def __len__(self) -> int:
        return len(self.tasks)

    def __bool__(self) -> bool:
        return True


def _steps_of(start: float, stop: float | None, step: float) -> Iterator[float]:
    moment = start
    while True:
        yield moment
        moment = moment + step if stop is None or moment + step < stop else start


@Signature.register_type("chunks")
class chunks(Composition[Any]):  # noqa: N801 - Celery's name
    """Many calls of one task in portions of `n`: a group in which each member makes `n` calls."""

    kind = "chunks"

    def __init__(self, task: Any = None, it: Any = (), n: int = 1, app: App | None = None, **options: Any) -> None:
        if n < 1:
            raise ValueError(f"chunks of {n} calls cannot be made: n is at least 1")
        self._fill({"task": as_signature(task, app), "it": list(it), "n": n}, options, app)
        self["immutable"] = True

    @property
    def tasks(self) -> list[Signature[Any]]:
        signature = maybe_signature(self["kwargs"]["task"], self._app)
        return [] if signature is None else [signature]

    def group(self) -> group:
        """The group it is."""
        made = group([maybe_signature(from_spec(part), self._app) for part in parts_of(to_spec(self))], app=self._app)
        made.options.update(self.options)
        return made

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.apply_async(**options)

    def apply(self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        return self.group().apply(**options)


def as_signature(task: Any, app: App | None) -> Any:
    """A task, its name or a signature, as the signature of it."""
    return task if task is None or isinstance(task, Mapping) else Signature(task, app=app)


class _Map(Signature[Any]):
    """One task over many arguments, one after the other in one run."""

    name_ = ""

    def __init__(self, task: Any = None, it: Any = (), app: App | None = None, **options: Any) -> None:
        calls.check(options)
        self._app = app if app is not None else getattr(task, "_app", None)
        self.update(
            task=self.name_,
            args=(),
            kwargs={"task": as_signature(task, self._app), "it": list(it)},
            options=dict(options),
            subtask_type=None,
            immutable=True,
        )


@Signature.register_type("xmap")
class xmap(_Map):  # noqa: N801 - Celery's name
    """`[task(x) for x in it]` in one run."""

    name_ = "celery.map"


@Signature.register_type("xstarmap")
class xstarmap(_Map):  # noqa: N801 - Celery's name
    """`[task(*x) for x in it]` in one run."""

    name_ = "celery.starmap"
