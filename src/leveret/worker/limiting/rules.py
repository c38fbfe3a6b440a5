"""What is asked for the tasks of one process, worked out once for each."""

from collections.abc import Mapping
from dataclasses import replace
from inspect import iscoroutinefunction

from leveret.logic.limiting.bounds import Bounds, bounds_of
from leveret.logic.limiting.bucket import Bucket
from leveret.model.limiting.gate import Bound, BudgetBound, RateBound
from leveret.model.task import TaskDefinition


class TaskRules:
    """Owned by the I/O loop."""

    def __init__(self, node: str, processes: int, *, kept: bool) -> None:
        """`kept`: whether rate limits of nodes are."""
        self._node, self._processes, self._kept = node, max(1, processes), kept
        self.steered: Mapping[str, str] = {}
        """Rate limits that remote control has set, by task."""
        self._bounds: dict[str, tuple[TaskDefinition, Bounds]] = {}
        self._buckets: dict[str, tuple[float, Bucket]] = {}
        self._fallbacks: dict[str, tuple[TaskDefinition, TaskDefinition]] = {}
        # Mostly it is the very same tuple again.
        self._looked_at: tuple[Bound, ...] = ()
        self._holds = False

    def steer(self, rates: Mapping[str, str]) -> None:
        if self._kept and rates != self.steered:
            self.steered = dict(rates)
            self._bounds.clear()

    def of(self, definition: TaskDefinition) -> Bounds:
        name = definition.name
        known = self._bounds.get(name)
        # A registry may build definitions anew from the app's present settings.
        if known is not None and known[0] is definition:
            return known[1]
        rate = self.steered.get(name, definition.rate_limit) if self._kept else None
        bounds = bounds_of(definition, self._node, rate)
        self._bounds[name] = (definition, bounds)
        return bounds

    def holds(self, bounds: tuple[Bound, ...]) -> bool:
        """Whether anything is held by who has passed: of a start at a pace nothing is."""
        if bounds is not self._looked_at:
            self._looked_at = bounds
            self._holds = any(not isinstance(bound, RateBound | BudgetBound) for bound in bounds)
        return self._holds

    def share(self, bound: RateBound) -> Bucket:
        """This process's part of a node's rate."""
        known = self._buckets.get(bound.key)
        if known is not None and known[0] == bound.interval:
            return known[1]
        bucket = Bucket(bound.interval * self._processes)
        self._buckets[bound.key] = (bound.interval, bucket)
        return bucket

    def fallback(self, definition: TaskDefinition) -> TaskDefinition:
        """The task with its fallback in the place of its function."""
        known = self._fallbacks.get(definition.name)
        if known is not None and known[0] is definition:
            return known[1]
        run = definition.fallback
        assert run is not None
        made = replace(definition, run=run, is_async=iscoroutinefunction(run), bind=False)
        self._fallbacks[definition.name] = (definition, made)
        return made

    def is_fallback(self, definition: TaskDefinition) -> bool:
        known = self._fallbacks.get(definition.name)
        return known is not None and known[1] is definition
