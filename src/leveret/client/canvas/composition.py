"""What all compositions share: they are values in Celery's JSON, planned as data (`logic.canvas`) and sent at once."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from leveret.client import options as calls
from leveret.client import sending
from leveret.client.canvas.collecting import put_off
from leveret.client.canvas.handles import Known, result_of
from leveret.client.canvas.whole import asubmit_whole, submit_whole
from leveret.client.client import Client
from leveret.client.current import App
from leveret.client.signature import Signature, maybe_signature
from leveret.client.specs import from_spec, to_spec
from leveret.errors import ImproperlyConfigured, LeveretWarning
from leveret.logic.canvas.plan import How, freeze, ids_in, needs_join, start
from leveret.logic.canvas.signatures import MAPS
from leveret.logic.following import with_begun
from leveret.model.message import Message, TaskId
from leveret.model.signature import SignatureSpec
from leveret.model.task import TaskDefinition

T = TypeVar("T")

_OF_THE_SENDING = frozenset(("timeout", "retry", "retry_policy", "add_to_parent", *calls.NOT_NEEDED))
"""Options of the publish itself: nothing of them travels."""
NO_JOINS = (
    "a chord (or a group inside a chain) needs a store in which its members meet, and {where} is none: set "
    'result_backend to one that remembers ("redis://...", "sqlite:///...")'
)


class Plan(NamedTuple):
    """A composition that is ready to be sent: what goes out now, and the handle on what will come of it."""

    messages: list[Message]
    result: Any
    joined: str
    """A name for the whole, where its messages belong together: those of a header. Empty: each stands alone."""


class Composition(Signature[T]):
    """`task` is `celery.<kind>`, the parts lie in `kwargs`."""

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
        return read_parts(self["kwargs"], "tasks", self._app)

    @property
    def app(self) -> App:
        """Its own, else its first part's."""
        if self._app is not None:
            return self._app
        for part in self.tasks:
            if part._app is not None or isinstance(part, Composition):
                return part.app
        return super().app

    def clone(self, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """A copy whose parts may be changed apart from the original's."""
        copy = super().clone(args, kwargs, **options)
        copy["kwargs"] = {name: _copied(part) for name, part in copy["kwargs"].items()}
        return copy

    # Sending it.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send it, as with Celery."""
        return self.apply_async(args, kwargs)

    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Send what begins it, in one publish; the rest follows by itself."""
        client = self._client(options)
        if client.options.always_eager:
            return self.apply(args, kwargs, **options)
        with put_off(len(self.tasks)):
            plan = self.plan(client, calls.positional(args), calls.named(kwargs), options)
        if plan.joined:
            submit_whole(client, plan.joined, plan.messages, options)
        elif plan.messages:
            sending.submit(client, plan.messages, options)
        return sending.adopted(plan.result, options)

    async def aapply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        client = self._client(options)
        if client.options.always_eager:
            import asyncio  # a coroutine runs, so it is loaded already

            return await asyncio.to_thread(self.apply, args, kwargs, **options)
        with put_off(len(self.tasks)):
            plan = self.plan(client, calls.positional(args), calls.named(kwargs), options)
        if plan.joined:
            await asubmit_whole(client, plan.joined, plan.messages, options)
        elif plan.messages:
            await sending.asubmit(client, plan.messages, options)
        return sending.adopted(plan.result, options)

    def _client(self, options: Mapping[str, Any]) -> Client:
        calls.check(options)
        return self.app.client

    def plan(
        self, client: Client, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Plan:
        """Make the messages that begin it. Raises what a single call would raise for its arguments."""
        said = {**self.options, **options}
        own = {name: value for name, value in said.items() if name not in _OF_THE_SENDING and value is not None}
        later = {} if client.parts.backend is None else {"reply_to": client.parts.reply_address()}
        spec = msgspec.structs.replace(to_spec(self), options=own)
        name = str(own.get("task_id") or client.clock.new_id())
        frozen = freeze(spec, name, {k: v for k, v in later.items() if v is not None})
        joined = needs_join(frozen)
        if joined and not client.options.joins:
            raise ImproperlyConfigured(NO_JOINS.format(where=client.options.results_address or "this broker"))
        # What its caller, or a worker, may send again must be stopped at the door.
        again = own.get("task_id") is not None or client.parts.outbox is not None
        composer = Composer(self.app, client, None if again else frozenset(ids_in(spec)))
        how = How(timeout=client.options.chord_timeout, begun=[])
        messages = with_begun(composer.messages(start(frozen, args, kwargs, how=how)), how)
        whole = joined and (len(messages) > 1 or any(message.begins for message in messages))
        return Plan(messages, self._result(frozen, client, messages), name if whole else "")

    def _result(self, frozen: SignatureSpec, client: Client, messages: list[Message]) -> Any:
        sent: dict[str, Message] = {message.id: message for message in messages}
        return result_of(frozen, Known(client=client, find=self.app.definition, sent=sent))

    def message(self) -> Message:
        raise TypeError(f"send_many takes single tasks, not a {self.kind}: send it with apply_async()")

    def freeze(self, _id: str | None = None, **ignored: Any) -> Any:
        """Give every result in it its id now; answers what it will come to."""
        client = self.app.client
        frozen = freeze(to_spec(self), _id or client.clock.new_id())
        self.update(from_spec(frozen))
        return self._result(frozen, client, [])

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(map(repr, self.tasks))})"


class Composer:
    """Makes the messages of many calls; what one of them says of its task holds for the next."""

    def __init__(self, app: App, client: Client, chosen: frozenset[str] | None) -> None:
        """`chosen` are the ids the caller has named, so that a second sending is stopped at the door; None: all."""
        self._app, self._lent, self._chosen = app, client, chosen
        self._known: dict[str, tuple[Any, Any]] = {}
        self._like: dict[str, tuple[Mapping[str, Any], Message]] = {}
        """Of each task the last call: its options, and its message. The next one of a header differs in little."""

    def messages(self, specs: Iterable[SignatureSpec]) -> list[Message]:
        return list(map(self._message, specs))

    def _message(self, spec: SignatureSpec) -> Message:
        found = self._known.get(spec.task)
        if found is None:
            task = self._app.tasks.peek(spec.task)
            found = self._known[spec.task] = (task, self._app.definition(spec.task))
            _warn_of_unique(found[1])
        task, definition = found
        if task is not None:
            task.check(spec.args, spec.kwargs)
        like = self._like.get(spec.task)
        if like is not None and _differ_in_place(spec.options, like[0]):
            return self._placed(like[1], spec)
        # A task over many arguments goes where the task itself goes.
        name = str(spec.kwargs["task"]["task"]) if spec.task in MAPS else spec.task
        if name != spec.task:
            definition = self._app.definition(name)
        message = self._lent.compose(name, spec.args, spec.kwargs, spec.options, definition)
        if name != spec.task:
            message = msgspec.structs.replace(message, task=spec.task)
        if name == spec.task and self._lent.parts.router.static and (definition is None or definition.fair_by is None):
            self._like[spec.task] = (spec.options, message)
        return self._placed(message, spec)

    def _placed(self, like: Message, spec: SignatureSpec) -> Message:
        options = spec.options
        name = str(options["task_id"])
        return msgspec.structs.replace(
            like,
            id=TaskId(name),
            args=spec.args,
            kwargs=spec.kwargs,
            group_index=options.get("group_index"),
            derived=self._chosen is None or name in self._chosen,
        )


_PLACE = frozenset(("task_id", "group_index"))


def _differ_in_place(options: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two calls are told the same but for their ids and places."""
    if options.keys() != others.keys():
        return False
    return all(
        value is others[name] or (type(value) is str and value == others[name])
        for name, value in options.items()
        if name not in _PLACE
    )


def _warn_of_unique(definition: TaskDefinition | None) -> None:
    if definition is not None and definition.unique is not None:
        warnings.warn(
            f"{definition.name} is unique (unique_for=...), and is sent all the same as a part of a composition: each "
            "of its parts must run, or those behind it would wait for ever. Send it alone where it has to be unique",
            LeveretWarning,
            stacklevel=2,
        )


def read_parts(kwargs: dict[str, Any], name: str, app: App | None) -> list[Signature[Any]]:
    """The signatures under `name`, kept as such: whoever changes one changes the composition."""
    found = kwargs.get(name) or ()
    if isinstance(found, Mapping):
        found = found["kwargs"].get("tasks") or ()
        return [cast(Signature[Any], maybe_signature(part, app)) for part in found]
    if not all(isinstance(part, Signature) for part in found):
        found = kwargs[name] = [cast(Signature[Any], maybe_signature(part, app)) for part in found]
    return list(found)


def given(parts: tuple[Any, ...]) -> list[Any]:
    """Parts one by one, or as one list or generator."""
    if len(parts) == 1 and not isinstance(parts[0], Mapping) and isinstance(parts[0], Iterable):
        return list(parts[0])
    return list(parts)


def _copied(part: Any) -> Any:
    if isinstance(part, Signature):
        return part.clone()
    if isinstance(part, list) and part and all(isinstance(one, Mapping) for one in part):
        return [_copied(one) if isinstance(one, Signature) else dict(one) for one in part]
    return part


def listed(value: Any) -> list[Any]:
    return [] if not value else [value] if isinstance(value, Mapping) else list(value)
