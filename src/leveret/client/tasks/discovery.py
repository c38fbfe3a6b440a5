"""Which modules hold an app's tasks: `include`, the `imports` setting, `autodiscover_tasks`."""

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec

Packages = Iterable[str] | Callable[[], Iterable[str]] | None


class Discovery:
    """Remembers what to look through; imports it once, when a worker or a command wants the tasks."""

    def __init__(self) -> None:
        self._wanted: list[tuple[Packages, str | None]] = []

    def add(self, packages: Packages, related_name: str | None) -> None:
        self._wanted.append((packages, related_name))

    def import_all(self) -> None:
        """Import what was asked for since the last time."""
        wanted, self._wanted = self._wanted, []
        for packages, related_name in wanted:
            import_related(packages, related_name)


def import_related(packages: Packages, related_name: str | None) -> None:
    """Import `package.related_name` of each package that has one; without a name the package itself."""
    for package in _names(packages):
        if not related_name:
            import_module(package)
        elif _exists(package, related_name):
            import_module(f"{package}.{related_name}")


def _names(packages: Packages) -> Iterable[str]:
    if packages is None:
        return _django_apps()
    return packages() if callable(packages) else ((packages,) if isinstance(packages, str) else packages)


def _django_apps() -> list[str]:
    """The installed apps, where Django is in use: what `autodiscover_tasks()` without arguments means."""
    django = sys.modules.get("django.apps")
    return [] if django is None else [config.name for config in django.apps.get_app_configs()]


def _exists(package: str, related_name: str) -> bool:
    # Only the module's absence is passed over: an error inside it, or in its package, is the user's to see.
    module = import_module(package)
    return hasattr(module, "__path__") and find_spec(f"{package}.{related_name}") is not None
