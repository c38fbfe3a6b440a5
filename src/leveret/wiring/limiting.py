"""Whether what limits an app's tasks can be kept."""

from collections.abc import Iterator

from leveret.errors import ImproperlyConfigured
from leveret.model.task import Registry, TaskDefinition


def check_limited(registry: Registry, address: str) -> None:
    """Refuse tasks with limits that need a store, before anything runs without them. A node's `rate_limit` needs none,
    and a retry budget that nobody asked for is left out."""
    limited = [
        f"{name} ({', '.join(kinds)})"
        for name in registry
        if (definition := registry.find(name)) is not None and (kinds := list(_kinds(definition)))
    ]
    if limited:
        raise ImproperlyConfigured(
            f"limits hold for the whole cluster and need a store that keeps them, and {address or 'this broker'} "
            'is none: set result_backend to one that does ("redis://...", "sqlite:///..."), or take away what cannot '
            f"be kept: {', '.join(limited)}"
        )


def _kinds(definition: TaskDefinition) -> Iterator[str]:
    if definition.limits:
        yield "limits"
    if definition.unique is not None:
        yield "unique_for"
    if definition.breaker is not None:
        yield "breaker"
