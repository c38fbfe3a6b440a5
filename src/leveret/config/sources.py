"""Where settings are read from: objects, modules, Django namespaces, the environment."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from leveret.config.table import find, looks_like_setting, nearest
from leveret.config.variables import NOT_SETTINGS, PREFIX
from leveret.errors import ImproperlyConfigured, UnknownSetting

_CODE = (ModuleType, FunctionType, BuiltinFunctionType, type)


def unknown(name: str, where: str = "", prefix: str = "") -> UnknownSetting:
    """Say what a misspelt setting was probably meant to be, as its author would write it."""
    own = name[len(prefix) :]
    close = nearest(own)
    hint = f"; did you mean {prefix}{close.upper() if own.isupper() else close}?" if close else ""
    return UnknownSetting(f"unknown setting {name}{where}{hint}", close)


def prefix_of(namespace: str | None) -> str:
    """What names in a namespace begin with."""
    return f"{namespace}_" if namespace and not namespace.endswith("_") else namespace or ""


def load_object(source: Any, *, silent: bool = False) -> Any:
    """Import what `module`, `module.attribute` or `module:attribute` names; anything else is itself.

    With `silent` a module that does not exist answers an empty dict.
    """
    if not isinstance(source, str):
        return source
    try:
        return _imported(source)
    except ImportError as error:
        if silent:
            return {}
        raise ImproperlyConfigured(f"settings cannot be read from {source!r}: {error}") from error


def _imported(path: str) -> Any:
    module, colon, attribute = path.partition(":")
    if colon:
        return _attribute(importlib.import_module(module), attribute, path)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        parent, dot, attribute = module.rpartition(".")
        # Only when it is this very name that is missing: an import that fails inside the module is the user's news.
        if not dot or error.name != module:
            raise
        return _attribute(importlib.import_module(parent), attribute, path)


def _attribute(module: ModuleType, dotted: str, path: str) -> Any:
    found: Any = module
    for name in dotted.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ImproperlyConfigured(f"settings cannot be read from {path!r}: no {name} there") from error
    return found


def from_object(source: Any, namespace: str | None) -> tuple[dict[str, Any], list[str]]:
    """Pick the settings of an object, module or mapping: {name: value} and what it has that is unknown."""
    prefix = prefix_of(namespace)
    values: dict[str, Any] = {}
    strangers: list[str] = []
    for key, read in _readers(source):
        if prefix and not key.lower().startswith(prefix.lower()):
            continue
        row = find(key[len(prefix) :]) or (find(key) if prefix else None)
        if row is not None:
            values[row.name] = read()
        elif prefix or isinstance(source, Mapping) or (looks_like_setting(key) and _is_setting(key, read)):
            strangers.append(key)
    return values, strangers


def _readers(source: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Only what is ours is read: asking for a setting of somebody else's may raise (Django's SECRET_KEY)."""
    if isinstance(source, Mapping):
        yield from ((str(key), partial(source.get, key)) for key in source)
        return
    for key in dir(source):
        if not key.startswith("_"):
            yield key, partial(getattr, source, key, None)


def _is_setting(key: str, read: Callable[[], Any]) -> bool:
    """Whether a name that looks like one of ours is data, and none of Django's own settings."""
    django = sys.modules.get("django.conf.global_settings")
    return not hasattr(django, key) and not isinstance(read(), _CODE)


def from_environment(environ: Mapping[str, str] | None) -> dict[str, str]:
    """Pick `LEVERET_*`; an unknown one is an error naming the nearest, an empty one is as if not set."""
    values: dict[str, str] = {}
    for key, value in (os.environ if environ is None else environ).items():
        if not key.startswith(PREFIX) or key.startswith(NOT_SETTINGS) or not value:
            continue
        row = find(key.removeprefix(PREFIX))
        if row is None:
            raise unknown(key, " in the environment", PREFIX)
        values[row.name] = value
    return values
