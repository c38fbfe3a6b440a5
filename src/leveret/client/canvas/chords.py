"""A task that waits for many."""

from collections.abc import Iterable, Mapping
from typing import Any

from leveret.client.canvas.chains import chain
from leveret.client.canvas.composition import Composition, Plan, read_parts
from leveret.client.canvas.groups import group
from leveret.client.canvas.stamping import StampingVisitor, collect, stamp_links
from leveret.client.client import Client
from leveret.client.current import App
from leveret.client.signature import Signature, maybe_signature


@Signature.register_type("chord")
class chord(Composition[Any]):  # noqa: N801 - Celery's name
    """A body that gets the list of the header's values, in the header's order; a member that fails fails the body."""

    kind = "chord"

    def __init__(self, header: Any = (), body: Any = None, app: App | None = None, **options: Any) -> None:
        if isinstance(header, group):
            # What the group was told is for its members.
            parts: Any = header if header.options else header.tasks
        elif isinstance(header, chain):
            parts = header.tasks
        elif isinstance(header, Mapping):
            parts = header if header.get("subtask_type") == "group" else [header]
        else:
            parts = list(header)
        self._fill({"header": parts, "body": maybe_signature(body), "kwargs": {}}, options, app)

    @property
    def tasks(self) -> list[Signature[Any]]:
        return read_parts(self["kwargs"], "header", self._app)

    @property
    def body(self) -> Signature[Any] | None:
        found = self["kwargs"].get("body")
        if found is not None and not isinstance(found, Signature):
            found = self["kwargs"]["body"] = maybe_signature(found, self._app)
        return found

    @property
    def app(self) -> App:
        body = self.body
        return body.app if self._app is None and body is not None and not self.tasks else super().app

    def __call__(self, body: Any = None, **options: Any) -> Any:
        """Send it: `chord(header)(body)`."""
        return (self if body is None else self._with_body(body)).apply_async(**options)

    def apply_async(
        self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        body = (kwargs or {}).get("body")
        if body is not None:
            rest = {name: value for name, value in (kwargs or {}).items() if name != "body"}
            return self._with_body(body).apply_async(args, rest, **options)
        return super().apply_async(args, kwargs, **options)

    def plan(
        self, client: Client, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Plan:
        if self.body is None:
            raise TypeError("a chord without a body cannot be sent: chord(header, body), or chord(header)(body)")
        return super().plan(client, args, kwargs, options)

    def apply(self, args: Iterable[Any] | None = None, kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        if self.body is None:
            raise TypeError("a chord without a body cannot be run: chord(header, body)")
        header = group(self.tasks, app=self._app)
        propagate = options.pop("propagate", True)
        return self.body.apply((header.apply((*(args or ()), *self.args), kwargs).get(propagate=propagate),))

    @property
    def header(self) -> group:
        """Its header as a group of the very tasks it has."""
        return group(self.tasks, app=self._app)

    def stamp(self, visitor: StampingVisitor | None = None, append_stamps: bool = False, **headers: Any) -> None:
        """Stamp each task of its header; and its body, if a visitor is asked (Celery's rule)."""
        visited = None if visitor is None else visitor.on_chord_header_start(self, **headers) or {}
        given = collect(headers, visited, self.options, append=append_stamps)
        stamp_links(self, visitor, append_stamps, given)
        for part in self.tasks:
            part.stamp(visitor, append_stamps, **given)
        if visitor is None:
            return
        visitor.on_chord_header_end(self, **given)
        if self.body is not None:
            bodys = collect(given, visitor.on_chord_body(self, **given) or {}, self.options, append=append_stamps)
            self.body.stamp(visitor, append_stamps, **bodys)

    def _with_body(self, body: Any) -> "chord":
        made: chord = self.clone()
        made["kwargs"]["body"] = maybe_signature(body, self._app)
        return made

    def followed_by(self, other: Any) -> "chord":
        """The same with `other` behind its body."""
        return self._with_body(self.body | other)

    def link(self, callback: Signature[Any]) -> Signature[Any]:
        """Have it called with what the body answers."""
        if self.body is None:
            raise TypeError("a chord without a body has no value to pass on")
        self.body.link(callback)
        return callback

    def link_error(self, errback: Signature[Any]) -> Signature[Any]:
        """Have it called when the body fails, also for a member; with `task_allow_error_cb_on_chord_header` for each
        member that fails too."""
        if self.app.client.options.header_errbacks:
            for part in self.tasks:
                unfed = errback.clone()
                unfed.set_immutable(True)
                part.link_error(unfed)
        if self.body is not None:
            self.body.link_error(errback)
        return errback

    def set_immutable(self, immutable: bool) -> None:
        """Of the header: the body always gets the values."""
        for part in self.tasks:
            part.set_immutable(immutable)

    def __or__(self, other: Any) -> Any:
        """`chord | task`: the task follows the body."""
        if not isinstance(other, Signature):
            return NotImplemented
        single = isinstance(other, group) and len(other.tasks) == 1
        if single:
            other = other.tasks[0]  # type: ignore[attr-defined] # a group has tasks
        if self.body is not None and (single or not isinstance(other, group | chain)):
            return self.followed_by(other)
        return chain(self, other, app=self._app)

    def __length_hint__(self) -> int:
        return len(self.tasks)

    def __repr__(self) -> str:
        return f"chord([{', '.join(map(repr, self.tasks))}], {self.body!r})"
