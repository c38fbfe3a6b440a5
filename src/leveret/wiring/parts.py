"""Every part is found by name through one table: built in, by an entry point, or by a dotted path."""

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from leveret.errors import ImproperlyConfigured, MissingExtra

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "brokers": {
        "memory": "leveret.brokers.memory:MemoryDriver",
        "sqlite": "leveret.brokers.sql.driver:SqlDriver",
        "amqp": "leveret.brokers.amqp.driver:AmqpDriver",
        "pyamqp": "leveret.brokers.amqp.driver:AmqpDriver",
        "amqps": "leveret.brokers.amqp.driver:AmqpDriver",
        "redis": "leveret.brokers.redis.driver:RedisDriver",
        "rediss": "leveret.brokers.redis.driver:RedisDriver",
        "unix": "leveret.brokers.redis.driver:RedisDriver",
        "redis+socket": "leveret.brokers.redis.driver:RedisDriver",
        "sentinel": "leveret.brokers.redis.driver:RedisDriver",
    },
    "backends": {
        "memory": "leveret.backends.memory:MemoryBackendDriver",
        "sqlite": "leveret.backends.sql.driver:SqlBackendDriver",
        "redis": "leveret.backends.redis:RedisBackendDriver",
        "rediss": "leveret.backends.redis:RedisBackendDriver",
        "unix": "leveret.backends.redis:RedisBackendDriver",
        "redis+socket": "leveret.backends.redis:RedisBackendDriver",
        "sentinel": "leveret.backends.redis:RedisBackendDriver",
        "redis-cluster": "leveret.backends.redis_cluster:RedisClusterDriver",
        "rediss-cluster": "leveret.backends.redis_cluster:RedisClusterDriver",
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
    "schedules": {
        "memory": "leveret.schedulestores.memory:MemoryScheduleDriver",
        "sqlite": "leveret.schedulestores.sql:SqlScheduleDriver",
        "redis": "leveret.schedulestores.redis:RedisScheduleDriver",
        "rediss": "leveret.schedulestores.redis:RedisScheduleDriver",
        "unix": "leveret.schedulestores.redis:RedisScheduleDriver",
        "redis+socket": "leveret.schedulestores.redis:RedisScheduleDriver",
        "sentinel": "leveret.schedulestores.redis:RedisScheduleDriver",
    },
    "commands": {},
}

ALIASES: Mapping[str, str] = {
    "processes": "prefork",
    "zlib": "gzip",
    "bzip": "bzip2",
    "application/json": "json",
}

EXTRAS: Mapping[str, str] = {
    **dict.fromkeys(("rediss", "unix", "redis+socket", "sentinel", "redis-cluster", "rediss-cluster"), "redis"),
    **dict.fromkeys(("pyamqp", "amqps"), "amqp"),
}
"""The extra that brings what a part needs, where it is not named as the part."""

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
    return (*built_in, *installed())


@cache
def installed() -> tuple[Part, ...]:
    """The parts other packages bring. One scan of all of them: each costs 3 ms and reads every package's metadata."""
    if not _any_brings_parts():
        return ()
    distributions = import_module("importlib.metadata").distributions
    groups = {f"leveret.{kind}": kind for kind in KINDS}
    return tuple(
        Part(kind=groups[point.group], name=point.name, target=point.value, origin=package.name)
        for package in distributions()
        for point in package.entry_points
        if point.group in groups
    )


def _any_brings_parts() -> bool:
    """Whether some package's entry points name us at all: a look at files of one name. `importlib.metadata` would read
    every package's metadata, and takes 5 MB of each process."""
    for place in sys.path:
        folder = Path(place or ".")
        if folder.is_file():
            return True  # a zip archive: let the library look into it
        for found in (*folder.glob("*.dist-info/entry_points.txt"), *folder.glob("*.egg-info/entry_points.txt")):
            if b"[leveret." in found.read_bytes():
                return True
    return False


def load(kind: str, name: str) -> Any:
    """The object behind a part's name; raises with the known names when there is none."""
    part = find(kind, name)
    module_name, _, attribute = part.target.partition(":")
    try:
        return getattr(import_module(module_name), attribute)
    except ModuleNotFoundError as error:
        if part.origin == "built in" and not (error.name or "").startswith("leveret"):
            raise MissingExtra(f"{kind[:-1]} {name!r}", EXTRAS.get(name, name)) from error
        raise ImproperlyConfigured(f"{kind[:-1]} {name!r} ({part.target}, {part.origin}): {error}") from error
    except AttributeError as error:
        raise ImproperlyConfigured(f"{kind[:-1]} {name!r}: {module_name} has no {attribute!r}") from error


def find(kind: str, name: str) -> Part:
    """Where a part comes from, without importing it. An installed part wins over a built-in one of the same name."""
    for part in installed():
        if (part.kind, part.name) == (kind, name):
            return part
    if ":" in name:
        return Part(kind=kind, name=name, target=name, origin="dotted path")
    plain = ALIASES.get(name, name)
    if plain in BUILT_IN[kind]:
        return Part(kind=kind, name=plain, target=BUILT_IN[kind][plain], origin="built in")
    raise ImproperlyConfigured(_unknown(kind, name))


def known(kind: str, name: str) -> bool:
    """Whether there is a part of that name."""
    return name in BUILT_IN[kind] or any((part.kind, part.name) == (kind, name) for part in installed())


_COMING = frozenset({"postgresql", "rpc", "sqs"})


def _unknown(kind: str, name: str) -> str:
    known = sorted({part.name for part in discovered() if part.kind == kind})
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if kind in ("brokers", "backends") and name in _COMING:
        hint = ": it comes with a later version"
    what = "pool" if kind == "executors" else kind[:-1]
    return f"no {what} named {name!r}{hint} (known: {', '.join(known) or 'none'}; or give package.module:Name)"
