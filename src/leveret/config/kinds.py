"""What the value of a setting may be: each kind reads code's values and the text of an environment variable alike."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

from leveret.model.endpoint import Url
from leveret.model.limiting.declared import RetryBudget
from leveret.model.limiting.pace import per_second

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"0", "false", "no", "off", "n", "f", ""})
_NOTHING = frozenset({"", "none", "null"})


@dataclass(frozen=True, slots=True)
class Kind:
    """`expected` completes "it must be ..."; `read` converts or raises ValueError or TypeError."""

    expected: str
    read: Callable[[Any], Any]


def budget(value: Any) -> RetryBudget | bool:
    return value if isinstance(value, RetryBudget) else boolean(value)


def rate(value: Any) -> str | None:
    return str(value) if per_second(value) else None


def boolean(value: Any) -> bool:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise ValueError(value)
    if value in (0, 1):
        return bool(value)
    raise ValueError(value)


def number(value: Any) -> float:
    """Read seconds: a number, its text or a timedelta."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool):
        raise TypeError(value)
    read = float(value)
    if read != read or read < 0:
        raise ValueError(value)
    return read


def whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError(value)
    return int(value)


def text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def names(value: Any) -> tuple[str, ...]:
    """Read several names: any iterable of text, or one text parted by commas."""
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    read = tuple(value)
    if not all(isinstance(name, str) for name in read):
        raise TypeError(value)
    return read


def secrets(value: Any) -> tuple[str, ...]:
    """Read one secret or several; unlike names, one text is one secret, whatever commas it has."""
    if value is None or value == "":
        return ()
    read = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(secret, str) and secret for secret in read):
        raise TypeError("no text")
    return read


def url(value: Any) -> Url:
    """Read a URL; a list of them (Celery's failover) is kept as one text parted by semicolons."""
    if isinstance(value, list | tuple):
        value = ";".join(map(text, value))
    return Url(text(value).strip())


def mapping(value: Any) -> Mapping[str, Any]:
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, Mapping):
        raise TypeError(value)
    return value


def tls(value: Any) -> Mapping[str, Any] | bool:
    """Read redis-py's `ssl_*` options, or whether there is TLS at all."""
    if isinstance(value, Mapping) or (isinstance(value, str) and value.lstrip().startswith("{")):
        return mapping(value)
    return boolean(value)


def anything(value: Any) -> Any:
    """Read a value of any type; text that is a JSON object or list (an environment variable) is parsed."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return _parsed(value)
    return value


def _parsed(value: str) -> Any:
    return json.loads(value)


def optional(kind: Kind) -> Kind:
    """The same kind, or None."""

    def read(value: Any) -> Any:
        if value is None or (isinstance(value, str) and value.strip().lower() in _NOTHING):
            return None
        return kind.read(value)

    return Kind(f"{kind.expected}, or None", read)


def ranged(low: int, high: int | None = None) -> Kind:
    """A whole number with limits, both included."""

    def read(value: Any) -> int:
        found = whole(value)
        if found < low or (high is not None and found > high):
            raise ValueError(value)
        return found

    return Kind(f"a whole number from {low} to {high}" if high is not None else f"a whole number, {low} or more", read)


def choice(*allowed: str) -> Kind:
    def read(value: Any) -> str:
        if value not in allowed:
            raise ValueError(value)
        return str(value)

    return Kind("one of " + ", ".join(allowed), read)


def positive(value: Any) -> float:
    read = number(value)
    if read == 0:
        raise ValueError(value)
    return read


def concurrency(value: Any) -> int | None:
    if value is None or value == "auto":
        return None
    found = whole(value)
    if found < 1:
        raise ValueError(value)
    return found


def log_level(value: Any) -> str:
    """Read a level of the logging module by its name or number."""
    levels = logging.getLevelNamesMapping()
    name = logging.getLevelName(value) if isinstance(value, int) else text(value).strip().upper()
    if name not in levels:
        raise ValueError(value)
    return str(name)


def log_format(value: Any) -> str:
    """Read a format of the logging module in its %-style."""
    logging.Formatter(text(value), defaults={"task_name": "", "task_id": ""})
    return str(value)


def delivery_mode(value: Any) -> int:
    """Read AMQP's 1 or 2, or kombu's word for it."""
    found = {"transient": 1, "persistent": 2}.get(value, value) if isinstance(value, str) else value
    if whole(found) not in (1, 2):
        raise ValueError(value)
    return whole(found)


def host(value: Any) -> str:
    """Read a name or an address alone: no port, no scheme."""
    found = text(value).strip()
    try:
        ip_address(found)
    except ValueError:
        if not found or not re.fullmatch(r"[A-Za-z0-9_.-]+", found):
            raise
    return found


def statsd_prefix(value: Any) -> str:
    if not re.fullmatch(r"([A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)?", text(value)):
        raise ValueError(value)
    return str(value)


DELIVERY_MODE = Kind('1 ("transient") or 2 ("persistent")', delivery_mode)
BOOLEAN = Kind("true or false", boolean)
BUDGET = Kind("true, false or a RetryBudget(...)", budget)
RATE = Kind('"10/s", "10/m", "10/h" or a number a second', rate)
SECONDS = Kind("seconds (a number, 0 or more) or a timedelta", number)
POSITIVE_SECONDS = Kind("seconds (a number above 0) or a timedelta", positive)
TEXT = Kind("text", text)
HOST = Kind("a host's name or address, without a port", host)
STATSD_PREFIX = Kind("letters, digits, _ and -, parted by dots, or nothing", statsd_prefix)
SECRETS = Kind("a text that nobody can guess, or a list of them", secrets)
NAMES = Kind("a list of names", names)
URL = Kind("a URL such as sqlite:////path/to/queue.db, memory:// or redis://host", url)
MAPPING = Kind("a dict", mapping)
TLS = Kind('true, false or a dict such as {"ssl_ca_certs": "/path/ca.pem"}', tls)
ANY = Kind("anything", anything)
COUNT = ranged(0)
POSITIVE = ranged(1)
PRIORITY = ranged(0, 255)
PORT = ranged(1, 65535)
CONCURRENCY = Kind('a whole number, 1 or more, or "auto"', concurrency)
LEVEL = Kind("a level such as INFO or WARNING", log_level)
LOG_FORMAT = Kind('a format of the logging module such as "%(asctime)s %(message)s"', log_format)
