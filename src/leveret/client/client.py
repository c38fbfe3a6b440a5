"""The sending side: a call becomes a message, messages become one publish.

The blocking face runs on the caller's own thread. There is no thread and no loop of ours here, which is what lets
`delay()` work after a fork, under gevent, in uWSGI without threads and from atexit.
"""

import builtins
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from leveret.client import options as calls
from leveret.client.events.sent import sent_teller
from leveret.client.loops import running_loop
from leveret.client.options import ClientOptions
from leveret.client.specs import follows
from leveret.client.waiting import Awaited
from leveret.errors import (
    EncodeError,
    ImproperlyConfigured,
    OperationalError,
    PublishFailed,
    PublishUnknown,
    ResultIgnored,
)
from leveret.logic.codec import Codec
from leveret.logic.following import copies
from leveret.logic.limiting.fairness import lane_of_call, no_lanes
from leveret.logic.routing import Route, Router
from leveret.model.delivery import Posting
from leveret.model.message import LANE, Message, TaskId
from leveret.model.request import CURRENT
from leveret.model.task import TaskDefinition
from leveret.ports.backend import Backend, BlockingBackend
from leveret.ports.broker import BlockingBroker, Broker
from leveret.ports.clock import Clock
from leveret.ports.limiting.gate import AsyncKeys, Keys
from leveret.ports.operations.events import BlockingEventBus, EventBus
from leveret.ports.outbox import BlockingOutbox, Outbox

if TYPE_CHECKING:
    from leveret.model.insight.call import Explanation

TellNodes = Callable[[tuple[str, ...], bool, str], Coroutine[Any, Any, None]]
"""(ids, whether what runs is ended, signal)."""
NO_OPTIONS: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncParts:
    """The asynchronous faces for one running loop; opened by wiring, closed with the loop."""

    broker: Broker
    backend: Backend | None
    publish_within: Callable[[tuple[Posting, ...], float], Awaitable[None]]
    """Publishes; raises TimeoutError when nothing is known by then. The broker's own, or made of its `publish`."""
    outbox: Outbox | None = None
    keys: AsyncKeys | None = None
    """Where unique tasks are asked for; None: nobody knows of any."""
    events: EventBus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientParts:
    """What wiring joins into a client."""

    codec: Codec
    router: Router
    clock: Clock
    broker: BlockingBroker
    backend: BlockingBackend | None
    """None where results are turned off (`disabled://`)."""
    reply_address: Callable[[], str | None]
    """Where whoever stores a result rings, or sends it; goes into messages whose result is wanted."""
    connect: Callable[[], AsyncParts]
    """Makes fresh asynchronous parts for the loop that runs now."""
    explain: Callable[[Awaited], "Explanation | None"] = lambda awaited: None
    """Why a task that somebody waits for does not run. It may block for a few round trips."""
    aexplain: Callable[[Awaited], Awaitable["Explanation | None"]] | None = None
    """The same for the running loop."""
    tell_nodes: Callable[[tuple[str, ...], bool, str], None] | None = None
    """Has revoked tasks remembered where claims look, and nodes hear of it. Blocks."""
    atell_nodes: TellNodes | None = None
    outbox: BlockingOutbox | None = None
    """Where compositions are written down before they are sent; None: a publish is all or nothing, or nobody can."""
    keys: Keys | None = None
    """Where unique tasks are asked for; None: nobody knows of any."""
    events: BlockingEventBus | None = None
    """None: there are none on this broker."""
    utcoffset: int = 0
    """Hours west of UTC, for events."""


class Client:
    """Composes and sends messages, and lends the result store to `AsyncResult`."""

    takes_plain_calls = True
    """False in a subclass that must see each `Message`, also of calls that could do without (`client.plain`)."""

    def __init__(self, parts: ClientParts, options: ClientOptions) -> None:
        self.options = options
        self.clock, self.codec, self.explain = parts.clock, parts.codec, parts.explain
        self.warned_of_loop = False
        self.parts = parts
        self.sent = sent_teller(parts, options)
        self._routes: dict[str, tuple[TaskDefinition, Route]] = {}
        """Routes of calls without options, where routing depends on names alone."""
        self._wished: dict[tuple[str, str | None, int | None], Route] = {}
        """Routes by task, queue and priority asked for, likewise."""
        self._loops: WeakKeyDictionary[Any, AsyncParts] = WeakKeyDictionary()

    def compose(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any] = NO_OPTIONS,
        definition: TaskDefinition | None = None,
    ) -> Message:
        """Make the message of one call: its id, route, moments and family. Options are checked by the caller."""
        if not options and definition is not None and definition.says_nothing:
            cached = self._routes.get(name)
            route = (
                cached[1]
                if cached is not None and cached[0] is definition
                else self._route_plain(args, kwargs, definition)
            )
            if not route.options:
                return self._compose_plain(args, kwargs, definition, route)
        route = self.route(name, args, kwargs, options, definition)
        if route.options:
            options = _over_route(route.options, options, definition)
        return self._compose_with(name, args, kwargs, options, definition, route)

    def _route_plain(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], definition: TaskDefinition) -> Route:
        route = self.route(definition.name, args, kwargs, NO_OPTIONS, definition)
        if self.parts.router.static:
            self._routes[definition.name] = (definition, route)
        return route

    def route(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        definition: TaskDefinition | None,
    ) -> Route:
        """Ask the router, or remember what it said: routing by name, queue and priority alone costs it 5-10 us."""
        router = self.parts.router
        wishes = _wishes(options, definition)
        if not router.static:
            # A callable sees all of the call's options, as in Celery.
            return router.route(name, args, kwargs, {**options, **wishes})
        if wishes.keys() - _REMEMBERED or not isinstance(wishes.get("queue", ""), str):
            return router.route(name, args, kwargs, wishes)
        key = (name, wishes.get("queue"), wishes.get("priority"))
        route = self._wished.get(key)
        if route is None:
            if len(self._wished) >= _MOST_REMEMBERED:
                self._wished.clear()
            route = self._wished[key] = router.route(name, args, kwargs, wishes)
        return route

    def _compose_plain(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], definition: TaskDefinition, route: Route
    ) -> Message:
        """The common call, with nothing to convert."""
        request = CURRENT.get()
        ignored = definition.ignore_result or self.parts.backend is None
        return Message(
            id=TaskId(self.clock.new_id()),
            task=definition.name,
            args=args,
            kwargs=kwargs,
            queue=route.queue,
            exchange=route.exchange,
            routing_key=route.routing_key,
            priority=route.priority,
            ignore_result=True if ignored else None,
            reply_to=None if ignored else self.parts.reply_address(),
            root_id=None if request is None else request.root_id or request.id,
            parent_id=None if request is None else request.id,
            serializer=definition.serializer,
            compression=definition.compression,
        )

    def _compose_with(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        options: Mapping[str, Any],
        definition: TaskDefinition | None,
        route: Route,
    ) -> Message:
        take, clock, zone = options.get, self.clock, self.options.naive_zone
        request = CURRENT.get()
        family = (None, None) if request is None else (request.root_id or request.id, request.id)
        expires = take("expires", None if definition is None else definition.expires)
        return Message(
            id=TaskId(take("task_id") or clock.new_id()),
            task=name,
            args=args,
            kwargs=kwargs,
            queue=route.queue,
            exchange=route.exchange,
            routing_key=route.routing_key,
            priority=calls.priority(route.priority),
            attempt=take("retries") or 0,
            not_before=calls.not_before(options, clock.now, zone),
            expires=calls.deadline(expires, clock.now, zone),
            time_limit=_seconds(take("time_limit")),
            soft_time_limit=_seconds(take("soft_time_limit")),
            ignore_result=True if self.ignored(options, definition) else take("ignore_result"),
            reply_to=take("reply_to") or self._reply_to(options, definition),
            root_id=take("root_id") or family[0],
            parent_id=take("parent_id") or family[1],
            group=take("group_id"),
            group_index=take("group_index"),
            embed=follows(options),
            shadow=take("shadow"),
            **calls.shown(options),
            replaced_task_nesting=take("replaced_task_nesting") or 0,
            stamped_headers=tuple(take("stamped_headers") or ()),
            stamps={stamp: options[stamp] for stamp in take("stamped_headers") or () if stamp in options},
            headers=take("headers") or {},
            serializer=take("serializer") or (self.options.serializer if definition is None else definition.serializer),
            compression=take("compression")
            or (self.options.compression if definition is None else definition.compression),
            derived=take("task_id") is not None,
            settings=_travelling(options, definition, _lane(self.options, name, args, kwargs, options, definition)),
        )

    def ignored(self, options: Mapping[str, Any], definition: TaskDefinition | None) -> bool:
        """Whether nobody will find a result: there is no store, or the call says so, else the task, else the app."""
        if self.parts.backend is None:
            return True
        said = options.get("ignore_result")
        if said is not None:
            return bool(said)
        return self.options.ignore_result if definition is None else definition.ignore_result

    def _reply_to(self, options: Mapping[str, Any], definition: TaskDefinition | None) -> str | None:
        return None if self.ignored(options, definition) else self.parts.reply_address()

    def submit(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        """Publish all of them at once; returns when they are durable, fails within the publish deadline."""
        self.publish(self.postings(messages), timeout=timeout)

    def publish(self, postings: tuple[Posting, ...], *, timeout: float | None = None) -> None:
        """As `submit`, of what is encoded already."""
        limit, started = self.options.publish_timeout if timeout is None else timeout, self.clock.monotonic()
        try:
            self.parts.broker.publish(postings, timeout=limit)
        except PublishUnknown as unknown:
            self.publish_again(postings, unknown, limit - (self.clock.monotonic() - started))

    def publish_again(self, postings: tuple[Posting, ...], unknown: PublishUnknown, left: float) -> None:
        """Nobody knows what became of the first time. The same ids are safe: the broker stops copies (ports.broker)."""
        if left <= 0 or not unknown.repeatable:
            raise unknown
        try:
            self.parts.broker.publish(postings, timeout=left)
        except (PublishFailed, OperationalError) as failed:
            # That of the second time: the first may be there all the same.
            raise PublishUnknown(f"{unknown}; then {failed}") from failed

    async def asubmit(self, messages: Sequence[Message], *, timeout: float | None = None) -> None:
        """As `submit`, on the running loop's own connection."""
        await self.apublish(self.postings(messages), timeout=timeout)

    async def apublish(self, postings: tuple[Posting, ...], *, timeout: float | None = None) -> None:
        """As `publish`, on the running loop's own connection."""
        limit = self.options.publish_timeout if timeout is None else timeout
        try:
            await self.of_loop().publish_within(postings, limit)
        except builtins.TimeoutError as error:
            raise PublishUnknown(
                f"{self.options.address} did not confirm {len(postings)} messages within {limit:g} s "
                f"(publish_timeout); sending them again with the same ids is safe"
            ) from error

    def postings(self, messages: Sequence[Message]) -> tuple[Posting, ...]:
        """What goes to the broker, with copies for further queues; raises what cannot be sent."""
        posted = tuple(map(self.codec.post, messages))
        self._refuse_unreadable(posted)
        further = [copy for message in messages if message.exchange for copy in copies(message, self.parts.router)]
        return (*posted, *map(self.codec.post, further)) if further else posted

    def _refuse_unreadable(self, postings: tuple[Posting, ...]) -> None:
        """What a worker with these settings would park as undecodable must fail here, at the call."""
        accept = self.codec.accept
        for posting in postings:
            if posting.encoded.content_type not in accept:
                raise EncodeError(
                    f"accept_content ({', '.join(sorted(accept))}) does not name {posting.encoded.content_type}, the "
                    "serializer of this call: workers would refuse the message"
                )

    def of_loop(self) -> AsyncParts:
        """The running loop's own connection; a client used from a second loop connects anew."""
        loop = running_loop()
        parts = self._loops.get(loop)
        if parts is None:
            self._forget_closed_loops()
            parts = self._loops[loop] = self.parts.connect()
        return parts

    def _forget_closed_loops(self) -> None:
        # Weak keys are not enough: a connection holds its transports, and they hold their loop.
        for loop in [loop for loop in self._loops if loop.is_closed()]:
            self._loops.pop(loop, None)

    async def aexplain(self, awaited: Awaited) -> "Explanation | None":
        """As `explain`, for a waiter on a loop."""
        return None if self.parts.aexplain is None else await self.parts.aexplain(awaited)

    def backend(self) -> BlockingBackend:
        if self.parts.backend is None:
            raise ResultIgnored(_NO_RESULTS)
        return self.parts.backend

    def backend_of_loop(self) -> Backend:
        backend = self.of_loop().backend
        if backend is None:
            raise ResultIgnored(_NO_RESULTS)
        return backend

    def close(self) -> None:
        """Close the calling process's own connection; the client may be used again."""
        self.parts.broker.close()
        if self.parts.backend is not None:
            self.parts.backend.close()

    async def aclose(self) -> None:
        """Close the running loop's connection, then the blocking one."""
        parts = self._loops.pop(running_loop(), None)
        if parts is not None:
            await parts.broker.close()
            if parts.backend is not None:
                await parts.backend.close()
        self.close()


_NO_RESULTS = "results are turned off (result_backend is disabled://): set result_backend, or leave it out"


def _wishes(options: Mapping[str, Any], definition: TaskDefinition | None) -> dict[str, Any]:
    """What the call, else the task, says about where to go; the router reads it."""
    wishes = {name: options[name] for name in _ROUTING if options.get(name) is not None}
    if definition is not None:
        if definition.queue is not None and not wishes.keys() & {"queue", "exchange", "routing_key"}:
            wishes["queue"] = definition.queue
        if definition.priority is not None:
            wishes.setdefault("priority", definition.priority)
    return wishes


def _over_route(
    said: Mapping[str, Any], options: Mapping[str, Any], definition: TaskDefinition | None
) -> Mapping[str, Any]:
    """What a route says is weaker than the call's own options and the task's `expires`."""
    calls.check(said)
    own = {name: value for name, value in options.items() if value is not None}
    if definition is not None and definition.expires is not None:
        own.setdefault("expires", definition.expires)
    return {**said, **own}


_ROUTING = ("queue", "exchange", "routing_key", "priority", "headers")
_REMEMBERED = frozenset(("queue", "priority"))
_MOST_REMEMBERED = 1000


def _travelling(options: Mapping[str, Any], definition: TaskDefinition | None, lane: str) -> Mapping[str, Any]:
    expires = options.get("result_expires")
    if expires is None and definition is not None:
        expires = definition.result_expires
    settings = {} if expires is None else {"result_expires": calls.seconds(expires)}
    return {**settings, LANE: lane} if lane else settings


def _lane(
    of: ClientOptions,
    name: str,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
    definition: TaskDefinition | None,
) -> str:
    lane = lane_of_call(definition, args, kwargs, options)
    if lane and not of.lanes:
        raise ImproperlyConfigured(no_lanes(name, of.address))
    return lane


def _seconds(value: Any) -> float | None:
    return None if value is None else calls.seconds(value)
