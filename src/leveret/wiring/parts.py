"""Every part is found by name through one table: built in, by an entry point, or by a dotted path."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from leveret.errors import ImproperlyConfigured, MissingExtra

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "brokers": {
        "memory": "leveret.brokers.memory:MemoryDriver",
        "sqlite": "leveret.brokers.sql.driver:SqlDriver",
    },
    "backends": {
        "memory": "leveret.backends.memory:MemoryBackendDriver",
        "sqlite": "leveret.backends.sql.driver:SqlBackendDriver",
    },
    "serializers": {
        "json": "leveret.logic.serializers:JSON",
        "msgpack": "leveret.logic.serializers:MSGPACK",
        "yaml": "leveret.logic.serializers:YAML",
        "pickle": "leveret.logic.serializers:PICKLE",
    },
    "compressions": {
        "gzip": "leveret.logic.compression:GZIP",
        "bzip2": "leveret.logic.compression:BZIP2",
        "zstd": "leveret.logic.compression:ZSTD",
    },
    "executors": {
        "prefork": "leveret.executors.inline:InlineExecutor",
        "solo": "leveret.executors.inline:InlineExecutor",
        "threads": "leveret.executors.thread:ThreadExecutor",
        "asyncio": "leveret.executors.coroutine:CoroutineExecutor",
    },
    "schedules": {},
    "commands": {},
}

ALIASES: Mapping[str, str] = {
    "processes": "prefork",
    "zlib": "gzip",
    "bzip": "bzip2",
    "application/json": "json",
}

KINDS = tuple(BUILT_IN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where one part comes from: `origin` is "built in", a distribution's name, or "dotted path"."""

    kind: str
    name: str
    target: str
    origin: str


def discovered() -> tuple[Part, ...]:
    """Every part known here, built in and installed; what `leveret report` lists."""
    built_in = [
        Part(kind=kind, name=name, target=target, origin="built in")
        for kind in KINDS
        for name, target in BUILT_IN[kind].items()
    ]
    installed = [_from_entry_point(kind, point) for kind in KINDS for point in entry_points(group=f"leveret.{kind}")]
    return (*built_in, *installed)


def load(kind: str, name: str) -> Any:
    """The object behind a part's name; raises with the known names when there is none."""
    part = find(kind, name)
    module_name, _, attribute = part.target.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if part.origin == "built in" and not (error.name or "").startswith("leveret"):
            raise MissingExtra(f"{kind[:-1]} {name!r}", name) from error
        raise ImproperlyConfigured(f"{kind[:-1]} {name!r} ({part.target}, {part.origin}): {error}") from error
    except AttributeError as error:
        raise ImproperlyConfigured(f"{kind[:-1]} {name!r}: {module_name} has no {attribute!r}") from error


def find(kind: str, name: str) -> Part:
    """Where a part comes from, without importing it. An installed part wins over a built-in one of the same name."""
    for point in entry_points(group=f"leveret.{kind}"):
        if point.name == name:
            return _from_entry_point(kind, point)
    if ":" in name:
        return Part(kind=kind, name=name, target=name, origin="dotted path")
    plain = ALIASES.get(name, name)
    if plain in BUILT_IN[kind]:
        return Part(kind=kind, name=plain, target=BUILT_IN[kind][plain], origin="built in")
    raise ImproperlyConfigured(_unknown(kind, name))


def _from_entry_point(kind: str, point: EntryPoint) -> Part:
    return Part(kind=kind, name=point.name, target=point.value, origin=point.dist.name if point.dist else "entry point")


def _unknown(kind: str, name: str) -> str:
    known = sorted({part.name for part in discovered() if part.kind == kind})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no {kind[:-1]} named {name!r}{hint} (known: {', '.join(known) or 'none'}; or give package.module:Name)"
