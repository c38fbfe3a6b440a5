"""What a gate is asked for one run: the bounds of its task, under the keys that its arguments choose."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from leveret.errors import ImproperlyConfigured
from leveret.logic.limiting.keys import key_text
from leveret.model.limiting.declared import Concurrency, Key, Rate
from leveret.model.limiting.gate import Bound, BreakerBound, BudgetBound, RateBound, SlotBound, UniqueBound
from leveret.model.limiting.pace import counted, per_second
from leveret.model.message import UNIQUE, Message, tries
from leveret.model.task import TaskDefinition

Keyed = RateBound | SlotBound | BreakerBound


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one task on one node."""

    fixed: tuple[Keyed, ...] = ()
    """The same for each call."""
    keyed: tuple[tuple[Keyed, Key], ...] = ()
    """By arguments: the text that the function answers is put behind the bound's own key."""
    unique: bool = False
    until_start: bool = False
    budget: BudgetBound | None = None
    slots: int | None = None
    """The least that a concurrency allows; None: there is none."""

    def of(self, message: Message) -> tuple[Bound, ...]:
        """Those of one run. Raises `ImproperlyConfigured` when a key function does."""
        if not self.keyed and not self.unique and not message.attempt:
            return self.fixed
        found: list[Bound] = []
        # First, since nobody else need be asked for a run that is not to be.
        if self.unique and (key := unique_key_of(message)):
            found.append(UniqueBound(key=key, until_start=self.until_start))
        if self.budget is not None and tries(message):
            found.append(self.budget)
        found += self.fixed
        found += [_under_key(bound, key, message) for bound, key in self.keyed]
        return tuple(found)

    def kept(self, message: Message) -> tuple[Bound, ...]:
        """As `of`, for a run that is not to be: what cannot be told is left out."""
        try:
            return self.of(message)
        except ImproperlyConfigured:
            key = unique_key_of(message) if self.unique else ""
            return (UniqueBound(key=key, until_start=self.until_start), *self.fixed) if key else self.fixed


def bounds_of(definition: TaskDefinition, node: str, rate_limit: str | None) -> Bounds:
    """`rate_limit` is what holds on that node now: the task's own, or what remote control said."""
    fixed: list[Keyed] = []
    keyed: list[tuple[Keyed, Key]] = []
    name = definition.name
    if rate_limit and (pace := per_second(rate_limit)):
        fixed.append(RateBound(key=f"{name} on {node}", interval=1.0 / pace))
    places: dict[type, int] = {}
    for limit in definition.limits:
        places[type(limit)] = place = places.get(type(limit), 0) + 1
        # Two rates of one task, say one a minute and one an hour, are two buckets.
        own = name if place == 1 else f"{name} {place}"
        bound = _rate(limit, own) if isinstance(limit, Rate) else _slots(limit, own)
        _add(bound, limit.key, fixed, keyed)
    if (breaker := definition.breaker) is not None:
        made = BreakerBound(
            key=name, failures=breaker.failures, within=float(breaker.within), recover=float(breaker.recover)
        )
        _add(made, breaker.key, fixed, keyed)
    budget, unique = definition.retry_budget, definition.unique
    return Bounds(
        fixed=tuple(fixed),
        keyed=tuple(keyed),
        unique=unique is not None,
        until_start=unique is not None and unique.until_start,
        slots=min((limit.limit for limit in definition.limits if isinstance(limit, Concurrency)), default=None),
        budget=None
        if budget is None
        else BudgetBound(key=name, share=float(budget.share), per_second=float(budget.per_second)),
    )


def unique_key(definition: TaskDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The key of one call of a unique task. Raises `ImproperlyConfigured` when its function does."""
    unique = definition.unique
    assert unique is not None and unique.key is not None
    return f"{definition.name}:{_called(unique.key, definition.name, args, kwargs)}"


def unique_key_of(message: Message) -> str:
    """The key that its sender gave it; empty: it was not sent as a unique task."""
    key = message.settings.get(UNIQUE) if message.settings else None
    return key if isinstance(key, str) else ""


def _add(bound: Keyed, key: Key | None, fixed: list[Keyed], keyed: list[tuple[Keyed, Key]]) -> None:
    if key is None:
        fixed.append(bound)
    else:
        keyed.append((bound, key))


def _rate(limit: Rate, key: str) -> RateBound:
    count, period = counted(limit.limit)
    burst = limit.burst if limit.burst is not None else max(1, int(count / 10))
    return RateBound(key=key, interval=period / count, burst=burst)


def _slots(limit: Concurrency, key: str) -> SlotBound:
    return SlotBound(key=key, slots=limit.limit)


def _under_key(bound: Keyed, key: Key, message: Message) -> Keyed:
    return replace(bound, key=f"{bound.key}:{_called(key, message.task, message.args, message.kwargs)}")


def _called(key: Callable[..., Any], task: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    try:
        return key_text(key(*args, **kwargs))
    except Exception as error:  # user code: whatever it raises is said with its place
        name = getattr(key, "__qualname__", repr(key))
        raise ImproperlyConfigured(
            f"the key function {name} of {task} raised {type(error).__name__}: {error}; "
            "it is called with the task's arguments"
        ) from error
