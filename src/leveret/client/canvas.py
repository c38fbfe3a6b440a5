"""Compositions as values in Celery's JSON. Sent here: one chain of single tasks (it is one message) and one group of
them (one publish). What needs a join, chords and groups inside chains, is a value only, so far."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec

from leveret.client import options as calls
from leveret.client import sending
from leveret.client.current import App
from leveret.client.groups import GroupResult
from leveret.client.result import AsyncResult
from leveret.client.signature import Signature, maybe_signature
from leveret.client.specs import to_spec
from leveret.errors import NotYet
from leveret.model.message import Message

T = TypeVar("T")

_JOINS = "chords, and groups inside chains, come with a later version; send the parts one by one until then"


class Composition(Signature[T]):
    """What `chain`, `group`, `chord` and `chunks` share: `task` is `celery.<kind>`, the parts lie in `kwargs`."""

    kind = ""

    def _fill(self, kwargs: dict[str, Any], options: Mapping[str, Any], app: App | None) -> None:
        calls.check(options)
        self._app = app
        self.update(
            task=f"celery.{self.kind}",
            args=(),
            kwargs=kwargs,
            options=dict(options),
            subtask_type=self.kind,
            immutable=False,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], app: App | None = None) -> "Signature[Any]":
        self = cls.__new__(cls)
        self._app = app
        self.update(data)
        return self

    @property
    def tasks(self) -> list[Signature[Any]]:
        return _signatures(self["kwargs"].get("tasks", ()), self._app)

    @property
    def app(self) -> App:
        """Its own, else its first part's."""
        parts = self.tasks if self._app is None else ()
        return parts[0].app if parts else super().app

    def message(self) -> Message:
        raise NotYet(f"send_many takes single tasks, not a {self.kind}: send it with apply_async()")

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(map(repr, self.tasks))})"


def _signatures(parts: Iterable[Any], app: App | None) -> list[Signature[Any]]:
    return [cast(Signature[Any], maybe_signature(part, app)) for part in parts]


def _given(parts: tuple[Any, ...]) -> list[Any]:
    """Parts one by one, or as one list or generator."""
    if len(parts) == 1 and not isinstance(parts[0], Mapping) and isinstance(parts[0], Iterable):
        return list(parts[0])
    return list(parts)


@Signature.register_type("chain")
class chain(Composition[Any]):  # noqa: N801 - Celery's name
    """Each task gets the value of the one before."""

    kind = "chain"

    def __init__(self, *parts: Any, app: App | None = None, **options: Any) -> None:
        """Take the parts one by one, or as one list or generator."""
        self._fill({"tasks": _given(parts)}, options, app)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send it, as with Celery."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[Any]:
        """Send the first step, which carries the rest; the result is the last step's."""
        client = self.app.client
        if client.options.always_eager:
            return cast(AsyncResult[Any], self.apply(args, kwargs, **options))
        message, steps = self._composed(args, kwargs, options)
        sending.submit(client, (message,), options)
        return self._handles(message, steps)

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> AsyncResult[Any]:
        message, steps = self._composed(args, kwargs, options)
        await sending.asubmit(self.app.client, (message,), options)
        return self._handles(message, steps)

    def apply(self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        first, *rest = self._steps()
        result = first.apply(args, kwargs, **options)
        for step in rest:
            if not result.successful():
                return result
            following = step.apply((result.get(),))
            following.parent, result = result, following
        return result

    def _composed(
        self, args: Iterable[Any] | None, kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> tuple[Message, list[Signature[Any]]]:
        """The one message, and the steps behind it with their ids given."""
        client = self.app.client
        first, *rest = self._steps()
        own = {**self.options, **options}
        last_id = own.pop("task_id", None)
        links, errbacks = own.pop("link", None), own.pop("link_error", None)
        for step in rest:
            step.options.setdefault("task_id", client.clock.new_id())
            # Whoever waits for the chain is rung by each step's end, not only by the first one's.
            step.options.setdefault("reply_to", client.parts.reply_address())
        last = rest[-1] if rest else first
        if last_id is not None:
            last.options["task_id"] = last_id
        for callback in _listed(links):
            last.link(callback)
        for step in (first, *rest):
            for errback in _listed(errbacks):
                step.link_error(errback)
        message = first.clone(args or (), kwargs or {}, **own).message()
        behind = tuple(to_spec(step) for step in reversed(rest))
        return msgspec.structs.replace(message, embed=msgspec.structs.replace(message.embed, chain=behind)), rest

    def _handles(self, message: Message, rest: Sequence[Signature[Any]]) -> AsyncResult[Any]:
        client = self.app.client
        result = sending.handle(client, message)
        for step in rest:
            following: AsyncResult[Any] = AsyncResult.sent(client, cast(str, step.id), step.task, "", ignored=False)
            following.follow(result)
            result = following
        return result

    def _steps(self) -> list[Signature[Any]]:
        """Single tasks in order, nested chains laid flat."""
        steps: list[Signature[Any]] = []
        for part in self.tasks:
            if isinstance(part, chain):
                steps += part._steps()
            elif isinstance(part, Composition):
                raise NotYet(f"a {part.kind} inside a chain: {_JOINS}")
            else:
                steps.append(part.clone())
        if not steps:
            raise ValueError("an empty chain cannot be sent")
        return steps


def _listed(value: Any) -> list[Any]:
    return [] if not value else [value] if isinstance(value, Mapping) else list(value)


@Signature.register_type("group")
class group(Composition[Any]):  # noqa: N801 - Celery's name
    """Tasks side by side, sent in one publish."""

    kind = "group"

    def __init__(self, *parts: Any, app: App | None = None, **options: Any) -> None:
        """Take the parts one by one, or as one list or generator."""
        self._fill({"tasks": _given(parts)}, options, app)

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Send it, as with Celery."""
        return self.apply_async(args, **options)

    def apply_async(  # type: ignore[override] # a group answers several results, in Celery too
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> GroupResult:
        client = self.app.client
        if client.options.always_eager:
            return self.apply(args, kwargs, **options)
        group_id, composed = self._composed(args, kwargs, options)
        sending.submit(client, [message for message, _ in composed], options)
        return self._handles(group_id, composed)

    async def aapply_async(  # type: ignore[override] # as above
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> GroupResult:
        group_id, composed = self._composed(args, kwargs, options)
        await sending.asubmit(self.app.client, [message for message, _ in composed], options)
        return self._handles(group_id, composed)

    def apply(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> GroupResult:
        return GroupResult(self.app.client.clock.new_id(), [part.apply(args, kwargs) for part in self.tasks])

    def _composed(
        self, args: Iterable[Any] | None, kwargs: Mapping[str, Any] | None, options: Mapping[str, Any]
    ) -> tuple[str, list[tuple[Message, list[Signature[Any]]]]]:
        own = {**self.options, **options}
        group_id = own.pop("task_id", None) or self.app.client.clock.new_id()
        if own.pop("link", None):
            raise TypeError("a group has no single value to pass on: link its tasks, or use a chord")
        composed: list[tuple[Message, list[Signature[Any]]]] = []
        for index, part in enumerate(self.tasks):
            placed = part.clone(args or (), kwargs or {}, **{**own, "group_id": group_id, "group_index": index})
            if isinstance(placed, chain):
                composed.append(placed._composed((), {}, {}))
            elif isinstance(placed, Composition):
                raise NotYet(f"a {placed.kind} inside a group: {_JOINS}")
            else:
                composed.append((placed.message(), []))
        return group_id, composed

    def _handles(self, id: str, composed: list[tuple[Message, list[Signature[Any]]]]) -> GroupResult:
        client = self.app.client
        handles = [
            sending.handle(client, message)
            if not rest
            else AsyncResult.sent(client, cast(str, rest[-1].id), rest[-1].task, "", ignored=False)
            for message, rest in composed
        ]
        return GroupResult(id, handles, app=self._app)

    def skew(self, start: float = 1.0, stop: float | None = None, step: float = 1.0) -> "group":
        """Delay each task a little more than the one before."""
        moments = _steps_of(start, stop, step)
        self["kwargs"]["tasks"] = [part.clone(countdown=next(moments)) for part in self.tasks]
        return self


def _steps_of(start: float, stop: float | None, step: float) -> Iterator[float]:
    moment = start
    while True:
        yield moment
        moment = moment + step if stop is None or moment + step < stop else start


@Signature.register_type("chord")
class chord(Composition[Any]):  # noqa: N801 - Celery's name
    """A body that gets the list of the header's values. It is a value here; sending it comes with a later version."""

    kind = "chord"

    def __init__(self, header: Any = (), body: Any = None, app: App | None = None, **options: Any) -> None:
        parts = header if isinstance(header, Mapping) else list(header)
        self._fill({"header": parts, "body": body, "kwargs": {}}, options, app)

    @property
    def tasks(self) -> list[Signature[Any]]:
        header = self["kwargs"]["header"]
        return _signatures(header["kwargs"]["tasks"] if isinstance(header, Mapping) else header, self._app)

    @property
    def body(self) -> Signature[Any] | None:
        return maybe_signature(self["kwargs"].get("body"), self._app)

    def __call__(self, body: Any = None, **options: Any) -> Any:
        return self.apply_async(**options)

    def apply_async(self, *args: Any, **options: Any) -> AsyncResult[Any]:
        raise NotYet(f"a chord cannot be sent yet: {_JOINS}")

    aapply_async = apply_async  # type: ignore[assignment] # it raises before anyone awaits it


@Signature.register_type("chunks")
class chunks(Composition[Any]):  # noqa: N801 - Celery's name
    """Many calls of one task in portions of `n`. It is a value here; sending it comes with a later version."""

    kind = "chunks"

    def __init__(self, task: Any = None, it: Any = (), n: int = 1, app: App | None = None, **options: Any) -> None:
        self._fill({"task": task, "it": list(it), "n": n}, options, app)

    @property
    def tasks(self) -> list[Signature[Any]]:
        return _signatures([self["kwargs"]["task"]], self._app)

    def apply_async(self, *args: Any, **options: Any) -> AsyncResult[Any]:
        raise NotYet(
            "chunks cannot be sent yet: they come with a later version; app.send_many sends many calls at once"
        )

    aapply_async = apply_async  # type: ignore[assignment] # as above
