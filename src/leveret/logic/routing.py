"""Where a call goes: the four kinds of exchange as a pure matcher, and `task_routes`.

The precedence is Celery's (`celery/app/routes.py`): the call's
own options, then the first route that answers, then the default queue.
"""

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from msgspec import Struct

from leveret.errors import ImproperlyConfigured, QueueNotFound
from leveret.model.queue import Queue, as_exchange, as_queue, binding

# Exchanges as a pure matcher


def topic_matches(pattern: str, key: str) -> bool:
    """`*` stands for exactly one word, `#` for none or more; words are parted by dots."""
    # "#.#" says no more than "#"; without it one step past a hash is enough below.
    words = pattern.split(".")
    parts = [word for word, before in zip(words, ["", *words], strict=False) if (word, before) != ("#", "#")]

    def past_hashes(positions: set[int]) -> set[int]:
        return positions | {at + 1 for at in positions if at < len(parts) and parts[at] == "#"}

    # The places in the pattern that may come next: backtracking over hashes would take exponential time.
    reached = past_hashes({0})
    for word in key.split(".") if key else ():
        stay = {at for at in reached if at < len(parts) and parts[at] == "#"}
        on = {at + 1 for at in reached - stay if at < len(parts) and parts[at] in ("*", word)}
        reached = past_hashes(stay | on)
    return len(parts) in reached


def headers_match(arguments: Mapping[str, Any] | None, headers: Mapping[str, Any]) -> bool:
    """`x-match: all` (default) or `any`; a binding's `None` asks only that the header is there."""
    wanted = {name: value for name, value in (arguments or {}).items() if not name.startswith("x-")}
    hits = [name in headers and value in (None, headers[name]) for name, value in wanted.items()]
    how = (arguments or {}).get("x-match", "all")
    return any(hits) if str(how).startswith("any") else all(hits)


def binding_matches(bound: binding, routing_key: str, headers: Mapping[str, Any]) -> bool:
    """Whether a message published to the binding's exchange comes through this binding."""
    match bound.exchange.type:
        case "fanout":
            return True
        case "topic":
            return topic_matches(bound.routing_key, routing_key)
        case "headers":
            return headers_match(bound.arguments, headers)
    return bound.routing_key == routing_key


def queues_reached(
    exchange: str, queues: Iterable[Queue], routing_key: str, headers: Mapping[str, Any] | None = None
) -> tuple[str, ...]:
    """The names of all queues a message published to `exchange` reaches, each once. "" reaches the queue so named."""
    if not exchange:
        return tuple(queue.name for queue in queues if queue.name == routing_key)
    return tuple(
        queue.name
        for queue in queues
        if any(
            bound.exchange.name == exchange and binding_matches(bound, routing_key, headers or {})
            for bound in queue.bound
        )
    )


# Routes


class Route(Struct, frozen=True, kw_only=True):
    """Where one call goes. `exchange` and `routing_key` are empty for a message that goes straight to its queue."""

    queue: str
    exchange: str = ""
    routing_key: str = ""
    priority: int | None = None
    queues: tuple[str, ...] = ()
    """All queues reached: a fanout or topic exchange may reach several, of which `queue` is the first."""
    options: Mapping[str, Any] = {}
    """What else a route said (`serializer`, `expires`, ...), weaker than the call's own options."""


_Answer = Mapping[str, Any] | str | Queue | None
_Rule = Callable[..., _Answer]


class _Table:
    """`task_routes` as a dict or list of pairs: exact names first, then globs and regexes in their order."""

    def __init__(self, rules: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> None:
        pairs = list(rules.items() if isinstance(rules, Mapping) else rules)
        self.exact = {name: target for name, target in pairs if isinstance(name, str) and "*" not in name}
        self.patterns = [
            (name if isinstance(name, re.Pattern) else re.compile(fnmatch.translate(name)), target, name)
            for name, target in pairs
            if isinstance(name, re.Pattern) or "*" in name
        ]
        self.names = [name.pattern if isinstance(name, re.Pattern) else name for name, _ in pairs]
        self.targets = [target for _, target in pairs]

    def __call__(self, name: str, *_: Any, **__: Any) -> _Answer:
        if name in self.exact:
            return self._answer(self.exact[name])
        return next((self._answer(target) for regex, target, _ in self.patterns if regex.match(name)), None)

    def _answer(self, target: Any) -> _Answer:
        answer: _Answer = {} if target is None else target
        return answer

    def unmatched(self, tasks: Iterable[str]) -> list[str]:
        known = set(tasks)
        lost = [name for name in self.exact if name not in known]
        return lost + [
            name.pattern if isinstance(name, re.Pattern) else name
            for regex, _, name in self.patterns
            if not any(regex.match(task) for task in known)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a broker does about exchanges by itself."""

    exchanges: bool = False
    """It has them, bound to whatever queues, and says when a message reaches none."""
    bindings: bool = False
    """An exchange that no listed queue is bound to is looked up with it when something is sent."""
    fanout: bool = False
    """It tells all who listen to a fanout exchange."""


NO_ABILITIES = Abilities()


class Router:
    """Routes calls. `routes` is `task_routes` with dotted paths resolved to what they name.

    `default_binding` is the exchange and key of queues that name none (`task_default_exchange`, `_routing_key`).
    """

    def __init__(
        self,
        queues: Mapping[str, Any] | Iterable[Any] = (),
        routes: Any = None,
        default_queue: str = "default",
        create_missing: bool = True,
        *,
        default_binding: binding | None = None,
        abilities: Abilities = NO_ABILITIES,
    ) -> None:
        named = queues.items() if isinstance(queues, Mapping) else (("", queue) for queue in queues)
        # As in Celery: where no queue is listed there is the default one.
        declared = [as_queue(value, name) for name, value in named] or [Queue(default_queue)]
        if default_binding is not None:
            declared = [_bound(queue, default_binding) for queue in declared]
        self.queues: Mapping[str, Queue] = {queue.name: queue for queue in declared}
        self._aliases = {queue.alias: queue for queue in declared if queue.alias}
        self.default_queue = default_queue
        self.create_missing = create_missing
        self._abilities = abilities
        self._strict = not abilities.exchanges
        self.copies = not abilities.exchanges
        """Whether the sender makes a message for each queue that an exchange reaches: the broker cannot."""
        self._rules = _as_rules(routes)
        self.static = all(isinstance(rule, _Table) for rule in self._rules)
        """True when a route depends on the task's name and the call's options alone (no callables)."""

    def find_queue(self, name: str) -> Queue:
        """The queue of that name or alias; raises `QueueNotFound` unless missing ones are created."""
        found = self.queues.get(name) or self._aliases.get(name)
        if found is not None:
            return found
        if not self.create_missing and name != self.default_queue:
            known = ", ".join(sorted(self.queues)) or "none"
            raise QueueNotFound(f"queue {name!r} is not in task_queues (known: {known})")
        return Queue(name)

    def route(
        self, name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, options: Any = None
    ) -> Route:
        """Where a call goes, by its options, else by the first route that answers, else to the default queue."""
        wishes = {key: value for key, value in (options or {}).items() if value is not None}
        answer = self._ask(name, args, kwargs or {}, wishes)
        merged = {**answer, **wishes}
        if "queue" in wishes and "exchange" not in wishes:
            # A queue named at the call is the place, whatever exchange a route has in mind.
            merged.pop("exchange", None)
            if "routing_key" not in wishes:
                merged.pop("routing_key", None)
        return self._deliver(merged, set(answer) - _PLACES)

    def reached(self, exchange: str, routing_key: str, headers: Mapping[str, Any] | None = None) -> tuple[str, ...]:
        """All listed queues that a message published to `exchange` reaches."""
        return queues_reached(exchange, self.queues.values(), routing_key, headers)

    def spread_by_broker(self, exchange: str) -> bool:
        """Whether one message to this exchange is enough, whatever number of queues is listed for it."""
        bound = (bound.exchange for queue in self.queues.values() for bound in queue.bound)
        return self._abilities.fanout and any(one.name == exchange and one.type == "fanout" for one in bound)

    def unmatched(self, tasks: Iterable[str]) -> tuple[str, ...]:
        """Names and patterns in `task_routes` that no task has."""
        known = tuple(tasks)
        return tuple(name for rule in self._rules if isinstance(rule, _Table) for name in rule.unmatched(known))

    def routed_queues(self) -> tuple[str, ...]:
        """The queues `task_routes` names, callables aside."""
        names: dict[str, None] = {}
        for rule in self._rules:
            for target in rule.targets if isinstance(rule, _Table) else ():
                place = target.get("queue") if isinstance(target, Mapping) else target
                if place:
                    names[place if isinstance(place, str) else place.name] = None
        return tuple(names)

    def _ask(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: dict[str, Any]
    ) -> dict[str, Any]:
        for rule in self._rules:
            answer = (
                rule(name, args, kwargs, options)
                if isinstance(rule, _Table)
                else rule(name, args, kwargs, options, task=None)
            )
            if answer is not None:
                return dict(answer) if isinstance(answer, Mapping) else {"queue": answer}
        return {}

    def _deliver(self, merged: dict[str, Any], extra: set[str]) -> Route:
        queue, exchange, key = merged.get("queue"), merged.get("exchange"), merged.get("routing_key")
        priority, options = merged.get("priority"), {name: merged[name] for name in extra}
        exchange_name = None if exchange is None else as_exchange(exchange).name
        place = None
        if queue or not exchange_name:
            place = (
                as_queue(queue)
                if queue and not isinstance(queue, str)
                else self.find_queue(queue or self.default_queue)
            )
            if not self._strict:
                self._check_listed(place)
            if not exchange_name and _is_direct(place):
                return Route(queue=place.name, priority=priority, queues=(place.name,), options=options)
            exchange_name = exchange_name or place.bound[0].exchange.name
            key = key or place.routing_key or (place.bound[0].routing_key if place.bound else "")
        reached = self._reached(exchange_name, key or "", place, merged.get("headers"))
        first = place.name if place is not None and (place.name in reached or not reached) else (*reached, "")[0]
        return Route(
            queue=first,
            exchange=exchange_name,
            routing_key=key or "",
            priority=priority,
            queues=reached or ((first,) if first else ()),
            options=options,
        )

    def _check_listed(self, place: Queue) -> None:
        """A broker holds each declaration against the first: only `task_queues` tells every process the same."""
        if place.name in self.queues:
            return
        plain = Queue(place.name)
        said = [name for name in _OF_DECLARATION if getattr(place, name) != getattr(plain, name)]
        if said:
            raise ImproperlyConfigured(
                f"queue {place.name!r} is described only where it is sent to ({', '.join(said)}), and nobody else who "
                "declares it knows that: list it in task_queues, and name it here"
            )

    def _reached(self, exchange: str, key: str, place: Queue | None, headers: Any) -> tuple[str, ...]:
        known = dict(self.queues)
        if place is not None:
            known.setdefault(place.name, place)
        reached = queues_reached(exchange, known.values(), key, headers)
        if not reached and self._strict and not (self._abilities.bindings and place is None):
            raise QueueNotFound(
                f"no queue in task_queues is bound to exchange {exchange!r} for routing key {key!r}: "
                f"the message would reach nobody"
            )
        return reached


_OF_DECLARATION = (
    *("queue_arguments", "durable", "exclusive", "auto_delete", "expires", "message_ttl"),
    *("max_length", "max_length_bytes", "max_priority"),
)


def _bound(queue: Queue, default: binding) -> Queue:
    if queue.bound:
        return queue
    return replace(queue, exchange=default.exchange, routing_key=queue.routing_key or default.routing_key)


_PLACES = frozenset(("queue", "exchange", "routing_key", "priority"))


def _is_direct(queue: Queue) -> bool:
    """As Celery: a queue behind a direct exchange is published to by its name."""
    return not queue.bound or all(bound.exchange.type == "direct" for bound in queue.bound)


def _as_rules(routes: Any) -> tuple[_Rule, ...]:
    if routes is None:
        return ()
    if isinstance(routes, Mapping) or not isinstance(routes, list | tuple):
        routes = (routes,)
    return tuple(_as_rule(rule) for rule in routes)


def _as_rule(rule: Any) -> _Rule:
    if isinstance(rule, Mapping):
        return _Table(rule)
    if isinstance(rule, list | tuple):
        # One pair, as in [("feed.*", {...}), ...], or a list of pairs, as Celery's documentation nests them.
        one = len(rule) == 2 and isinstance(rule[0], str | re.Pattern)
        return _Table([(rule[0], rule[1])] if one else rule)
    old_style = getattr(rule, "route_for_task", None)
    if old_style is not None:
        return lambda name, args, kwargs, *_, **__: old_style(name, args, kwargs)
    if callable(rule):
        found: _Rule = rule
        return found
    raise ImproperlyConfigured(f"task_routes: expected a dict, a list or a callable, got {rule!r}")
