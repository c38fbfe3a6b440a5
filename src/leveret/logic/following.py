"""What follows a task: callbacks, error callbacks, the next step of a chain, the body of a chord, as messages with
computed ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import msgspec

from leveret.logic.canvas.errbacks import ERRBACK, takes_error, telling
from leveret.logic.canvas.plan import UNSENT, How, freeze, start
from leveret.logic.canvas.signatures import hang, read_spec, read_specs
from leveret.logic.ids import derive
from leveret.logic.limiting.fairness import lane_that_follows
from leveret.logic.routing import Router
from leveret.logic.wire.reprs import is_repr
from leveret.model.message import DEFAULT_QUEUE, FIRST_ATTEMPT, LANE, NOTHING_FOLLOWS, Embed, Message, TaskId
from leveret.model.outcome import ErrorInfo
from leveret.model.signature import SignatureSpec
from leveret.model.task import Registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """Makes messages out of the signatures a message carries; the same call makes the same ids again."""

    registry: Registry
    router: Router | None = None
    """None: the task's own queue, else the default one."""
    default_queue: str = DEFAULT_QUEUE
    zone: tzinfo = UTC
    """Of a datetime that names none."""
    chord_timeout: float | None = None
    errback_lane: str = ""
    """Where error callbacks of the new style wait in queues that Celery's workers serve, too: those call such functions
    themselves, and can do nothing with a message for one. They see no lane."""
    errback_prefix: str = ""
    """The same where there are no lanes: what the names of queues begin with that only ours consume."""

    def success(self, message: Message, value: Any, now: float) -> tuple[Message, ...]:
        """Callbacks get the value, then the chain's next step, which carries the remaining steps on."""
        embed = message.embed
        if not embed:
            return ()
        follow = [
            one
            for index, spec in enumerate(embed.callbacks)
            for one in self.begin(spec, message, derive(message.id, "link", index), (value,), now)
        ]
        if embed.chain:
            follow += self.begin(next_step(embed), message, derive(message.id, "chain"), (value,), now)
        return self._with_copies(follow)

    def failure(self, message: Message, error: ErrorInfo, now: float) -> tuple[Message, ...]:
        """Error callbacks get the id of the task that failed (Celery's old style), or, where their function takes
        more, the request, the error and the traceback (its new style)."""
        return self._with_copies(
            [
                one
                for index, spec in enumerate(message.embed.errbacks)
                for one in self._errback(spec, message, derive(message.id, "errback", index), error, now)
            ]
        )

    def _errback(
        self, spec: SignatureSpec, message: Message, id: TaskId, error: ErrorInfo, now: float
    ) -> list[Message]:
        definition = self.registry.find(spec.task)
        if spec.immutable or definition is None or not takes_error(definition, spec):
            return self.begin(spec, message, id, (message.id,), now)
        return [self._ours(one) for one in self.begin(spec, message, id, telling(message, error), now)]

    def _ours(self, message: Message) -> Message:
        """Put where only our workers look."""
        lane = {LANE: self.errback_lane} if self.errback_lane else {}
        message = msgspec.structs.replace(message, settings={**lane, **message.settings, ERRBACK: True})
        if not self.errback_prefix or message.queue.startswith(self.errback_prefix):
            return message
        return msgspec.structs.replace(message, queue=self.errback_prefix + message.queue, exchange="", routing_key="")

    def body(self, member: Message, values: list[Any], now: float) -> tuple[Message, ...]:
        """What is sent when the join of `member` is complete."""
        body = member.embed.chord
        if body is None or member.group is None:
            return ()
        return self._with_copies(self.begin(body, member, derive(member.group, "body"), (values,), now))

    def replacing(self, message: Message, spec: SignatureSpec, now: float) -> tuple[Message, ...]:
        """What takes the place of `message`; it was frozen under the message's own id."""
        return self._with_copies(self.begin(spec, message, message.id, (), now))

    def begin(self, spec: SignatureSpec, parent: Message, id: str, lead: tuple[Any, ...], now: float) -> list[Message]:
        """The messages that begin any signature; `id` is its result's where it names none."""
        how = How(timeout=self.chord_timeout, begun=[])
        calls = start(freeze(spec, id), lead, how=how)
        return with_begun([self.message(call, parent, TaskId(id), (), now) for call in calls], how)

    def heirs(self, spec: SignatureSpec, parent: Message, id: str, now: float) -> list[Message]:
        """The messages of a signature that will never be sent: those whose fate must be told."""
        heirs = [self.message(call, parent, TaskId(id), (), now) for call in start(freeze(spec, id), how=UNSENT)]
        if not parent.carried:
            return heirs
        # What is sent for one of them follows the run that decided its fate.
        return [msgspec.structs.replace(heir, carried=parent.carried) for heir in heirs]

    def _with_copies(self, follow: list[Message]) -> tuple[Message, ...]:
        if self.router is None:
            return tuple(follow)
        return (*follow, *(copy for message in follow for copy in copies(message, self.router)))

    def message(
        self, spec: SignatureSpec, parent: Message, derived_id: TaskId, lead: tuple[Any, ...], now: float
    ) -> Message:
        """One signature as a message. `lead` goes in front of its own arguments unless it is immutable."""
        definition = self.registry.find(spec.task)
        args = spec.args if spec.immutable else (*lead, *spec.args)
        address, options = self._address(spec, args)
        countdown = options.get("countdown")
        priority = options.get("priority")
        if priority is None and definition is not None:
            priority = definition.priority
        return Message(
            id=TaskId(str(options.get("task_id") or derived_id)),
            task=spec.task,
            args=args,
            kwargs=dict(spec.kwargs),
            **address,
            priority=priority,
            attempt=int(options.get("retries") or 0),
            not_before=moment(options.get("eta"), now, self.zone) if countdown is None else now + _seconds(countdown),
            expires=moment(options.get("expires", definition and definition.expires), now, self.zone),
            time_limit=options.get("time_limit"),
            soft_time_limit=options.get("soft_time_limit"),
            ignore_result=options.get("ignore_result"),
            reply_to=options.get("reply_to"),
            root_id=parent.root_id or parent.id,
            parent_id=parent.id,
            group=options.get("group_id"),
            group_index=options.get("group_index"),
            embed=_embed(options),
            shadow=options.get("shadow"),
            argsrepr=options.get("argsrepr"),
            kwargsrepr=options.get("kwargsrepr"),
            stamped_headers=tuple(options.get("stamped_headers") or ()),
            stamps={name: options[name] for name in options.get("stamped_headers") or () if name in options},
            replaced_task_nesting=int(options.get("replaced_task_nesting") or 0),
            settings=_travelling(options, lane_that_follows(definition, args, spec.kwargs, options)),
            headers=_headers(options.get("headers") or {}, parent),
            serializer=options.get("serializer") or (definition.serializer if definition else parent.serializer),
            compression=options.get("compression") or (definition.compression if definition else None),
            derived=True,
        )

    def _address(self, spec: SignatureSpec, args: tuple[Any, ...]) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Where a follow-up goes, and its options: its own, over what the route says."""
        options, definition = spec.options, self.registry.find(spec.task)
        if self.router is None:
            own = definition.queue if definition else None
            return {"queue": str(options.get("queue") or own or self.default_queue)}, options
        given = {key: options[key] for key in _PLACES if options.get(key) is not None}
        if definition is not None and definition.queue and not given.keys() & {"queue", "exchange", "routing_key"}:
            given["queue"] = definition.queue
        if definition is not None and definition.priority is not None:
            given.setdefault("priority", definition.priority)
        route = self.router.route(spec.task, args, spec.kwargs, given)
        return {
            "queue": route.queue or self.default_queue,
            "exchange": route.exchange or "",
            "routing_key": route.routing_key or "",
        }, {**route.options, "priority": route.priority, **_given(options)}


def with_begun(messages: list[Message], how: How) -> list[Message]:
    """The messages of one beginning; the first of them says which headers are sent with them."""
    if how.begun and messages:
        messages[0] = msgspec.structs.replace(messages[0], begins=tuple(how.begun))
    return messages


_PLACES = ("queue", "exchange", "routing_key", "headers", "priority")


def _given(options: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def copies(message: Message, router: Router) -> tuple[Message, ...]:
    """One more message for each further queue that the message's exchange reaches, on a broker without exchanges.

    Only the first queue's run has the id the caller knows: two runs of one id would fence each other off. The other
    ids are computed from it, so that sending it all again makes no more copies.
    """
    if not message.exchange or (not router.copies and message.not_before is None):
        # A delayed message has left its exchange: it waits for one queue.
        return ()
    if router.spread_by_broker(message.exchange):
        return ()
    return tuple(
        msgspec.structs.replace(
            message,
            id=derive(message.id, "copy", queue),
            queue=queue,
            ignore_result=True,
            reply_to=None,
            derived=True,
        )
        for queue in router.reached(message.exchange, message.routing_key, message.headers)
        if queue != message.queue
    )


def again(message: Message, not_before: float) -> Message:
    """The next attempt of the same message. `derived`: a second copy of (id, attempt) is stopped at the door."""
    following = msgspec.structs.replace(message, attempt=message.attempt + 1, not_before=not_before, derived=True)
    if not message.carried:
        return following
    return msgspec.structs.replace(following, headers=_headers(message.headers, message), carried={})


def _headers(own: Mapping[str, Any], parent: Message) -> Mapping[str, Any]:
    return {**own, **parent.carried} if parent.carried else own


_OVERRIDABLE = frozenset(
    {"queue", "exchange", "routing_key", "priority", "time_limit", "soft_time_limit", "serializer", "compression",
     "shadow", "ignore_result", "argsrepr", "kwargsrepr"}
)  # fmt: skip


def changed(message: Message, options: Mapping[str, Any], now: float) -> Message:
    """The message with the options `self.retry(**options)` was given."""
    if not options:
        return message
    changes: dict[str, Any] = {key: value for key, value in options.items() if key in _OVERRIDABLE}
    if "expires" in options:
        changes["expires"] = moment(options["expires"], now, UTC)
    if "headers" in options:
        changes["headers"] = {**message.headers, **(options["headers"] or {})}
    if "link" in options or "link_error" in options:
        extra = _embed(options)
        changes["embed"] = msgspec.structs.replace(
            message.embed,
            callbacks=message.embed.callbacks + extra.callbacks,
            errbacks=message.embed.errbacks + extra.errbacks,
        )
    return msgspec.structs.replace(message, **changes)


def with_arguments(message: Message, args: tuple[Any, ...] | None, kwargs: Mapping[str, Any] | None) -> Message:
    """The message with other arguments. What the caller wants shown instead of them stays, for it hides something; a
    mere repr of the old ones goes."""
    changes: dict[str, Any] = {}
    if args is not None:
        changes["args"] = args
        if message.argsrepr is not None and is_repr(message.argsrepr, message.args):
            changes["argsrepr"] = None
    if kwargs is not None:
        changes["kwargs"] = kwargs
        if message.kwargsrepr is not None and is_repr(message.kwargsrepr, dict(message.kwargs)):
            changes["kwargsrepr"] = None
    return msgspec.structs.replace(message, **changes) if changes else message


def moment(value: Any, now: float, zone: tzinfo) -> float | None:
    """Unix seconds of an `eta` or `expires` as signatures carry it: ISO text, datetime, or seconds from now."""
    match value:
        case None:
            return None
        case str():
            parsed = datetime.fromisoformat(value)
            # Celery's wire: a naive time is UTC.
            return (parsed if parsed.tzinfo else datetime.fromisoformat(value + "+00:00")).timestamp()
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=zone)).timestamp()
        case _:
            return now + _seconds(value)


def _seconds(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def next_step(embed: Embed) -> SignatureSpec:
    """The next step of a chain, with the remaining ones behind it."""
    step, rest = embed.chain[-1], embed.chain[:-1]
    # The step may bring a chain of its own (a chain as a chain's step): that one runs first, so it stands last.
    return hang(step, {"chain": rest}) if rest else step


def _travelling(options: Mapping[str, Any], lane: str) -> Mapping[str, Any]:
    settings: dict[str, Any] = {LANE: lane} if lane else {}
    if options.get("retries"):
        # The attempts of a message that took over an id go on counting where the other's ended.
        settings[FIRST_ATTEMPT] = int(options["retries"])
    return settings


def _embed(options: Mapping[str, Any]) -> Embed:
    if not (options.get("link") or options.get("link_error") or options.get("chain") or options.get("chord")):
        return NOTHING_FOLLOWS
    chord = options.get("chord")
    return Embed(
        callbacks=tuple(read_specs(options.get("link"))),
        errbacks=tuple(read_specs(options.get("link_error"))),
        chain=read_specs(options.get("chain")),
        chord=None if chord is None else read_spec(chord),
    )
