"""`app.conf`: settings from every source with their origins, and the frozen `Settings` they make.

It may change at any time. `settings` answers a new value after a change; whoever took one keeps what it had.
"""

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from leveret.client.project import default_broker_url
from leveret.config.row import Mark, Row
from leveret.config.settings import DEFAULTS, FIELDS, Settings, convert, shown
from leveret.config.sources import from_environment, from_object, load_object, prefix_of, unknown
from leveret.config.table import ROWS, find
from leveret.config.variables import CONFIG_MODULE, PREFIX
from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url

log = logging.getLogger("leveret.config")

COMMAND_LINE, ENVIRONMENT, CODE, OBJECT, DEFAULT = "command line", "environment", "code", "object or file", "default"
ORIGINS = (COMMAND_LINE, ENVIRONMENT, CODE, OBJECT, DEFAULT)
"""Strongest first."""


_VISIBILITY = (
    "broker_transport_options: visibility_timeout is not needed here: what the dead held comes back in seconds, and "
    "a task that runs for long is never given to another"
)


class Configuration:
    """Settings by attribute, by key and by `update`; every name in `config.table` may be set, also in Celery's old
    spelling, and unknown ones are errors."""

    _layers: dict[str, dict[str, Any]]
    _pending: list[tuple[Any, bool, str | None]]
    current: Settings | None
    """`settings` where that needs no look at anything, else None."""

    def __init__(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        app_file: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`app_file` is the file of the app: without `broker_url` the queue lives in its project's folder.
        `environ` stands in for `os.environ`; either is read when a setting is first needed."""
        vars(self).update(
            _layers={origin: {} for origin in ORIGINS},
            _pending=[],
            _app_file=app_file,
            _environ=environ,
            _environment_read=False,
            _cached=None,
            current=None,
            _copies={},
            # Guards reading sources, setting values and making settings: 32 threads may send their first task at once.
            _lock=threading.RLock(),
        )
        self.update(values or {})

    # -- reading

    @property
    def settings(self) -> Settings:
        """Everything Leveret honours, as it stands now; the same value until something changes."""
        cached: Settings | None = self._cached
        if cached is not None and not (self._copies and self._mutated()):
            return cached
        with self._lock:
            return self._made()

    def __getitem__(self, name: str) -> Any:
        self._read_sources()
        return self._value(self._row(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and find(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(name for name in ROWS if not _retired(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def get(self, name: str, default: Any = None) -> Any:
        row = find(name)
        return default if row is None else self[row.name]

    def keys(self) -> Iterable[str]:
        return tuple(self)

    def items(self) -> Iterable[tuple[str, Any]]:
        return tuple((name, self[name]) for name in self)

    def origin(self, name: str) -> str:
        """Where the value of a setting comes from, one of `ORIGINS`."""
        self._read_sources()
        return self._origin(self._row(name).name)

    def origins(self) -> tuple[tuple[str, Any, str], ...]:
        """Every honoured setting and every other one that was set: (name, value with passwords masked, origin)."""
        self._read_sources()
        names = [name for name, row in ROWS.items() if row.honoured or self._origin(name) != DEFAULT]
        return tuple((name, shown(name, self[name]), self._origin(name)) for name in names)

    def remarks(self) -> tuple[str, ...]:
        """One line per setting that was set and that Leveret does not need or does not have yet."""
        self._read_sources()
        rows = (ROWS[name] for name in ROWS if self._origin(name) != DEFAULT)
        found = [f"{row.name} is {row.mark.value}: {row.note}" for row in rows if not row.honoured]
        if "visibility_timeout" in self.settings.broker_transport_options:
            found.append(_VISIBILITY)
        return tuple(found)

    def humanize(self, with_defaults: bool = False, censored: bool = True) -> str:
        """Celery's report text: `name: value` lines."""
        rows = [row for row in self.origins() if with_defaults or row[2] != DEFAULT]
        return "\n".join(f"{name}: {(value if censored else self[name])!r}" for name, value, _ in rows)

    # -- changing

    def renew(self) -> None:
        """Make `settings` anew at the next look, so that whoever holds them notices."""
        vars(self).update(_cached=None, current=None)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        self._set(CODE, self._row(name), value)

    def setdefault(self, name: str, default: Any = None) -> Any:
        if self.origin(name) == DEFAULT:
            self[name] = default
        return self[name]

    def update(self, *others: Mapping[str, Any] | Iterable[tuple[str, Any]], **values: Any) -> None:
        """Set several at once; nothing is set when one of them is wrong."""
        merged: dict[str, Any] = {}
        for other in others:
            merged.update(other)
        merged.update(values)
        checked = [(row := self._row(name), _checked(row, value)) for name, value in merged.items()]
        for row, value in checked:
            self._set(CODE, row, value)

    def override(self, values: Mapping[str, Any]) -> None:
        """Lay the command line's values over everything else."""
        for name, value in values.items():
            self._set(COMMAND_LINE, self._row(name), value)

    def config_from_object(self, source: Any, *, silent: bool = False, namespace: str | None = None) -> None:
        """Read an object, mapping, module, or the name of one, when a setting is first needed: Django's settings may
        not be ready before. `namespace="CELERY"` takes names that begin with `CELERY_`."""
        with self._lock:
            self._pending.append((source, silent, namespace))
            self.renew()

    def config_from_envvar(self, variable: str, *, silent: bool = False, namespace: str | None = None) -> bool:
        """Read the module that an environment variable names; false when it is not set and `silent`."""
        name = self._variable(variable)
        if not name:
            if silent:
                return False
            raise ImproperlyConfigured(
                f"the environment variable {variable} is not set: it must name a settings module"
            )
        self.config_from_object(name, silent=silent, namespace=namespace)
        return True

    # -- inside

    def _variable(self, name: str) -> str | None:
        return (os.environ if self._environ is None else self._environ).get(name)

    def _row(self, name: str) -> Row:
        row = find(name)
        if row is None:
            raise unknown(name)
        return row

    def _made(self) -> Settings:
        self._read_sources()
        if self._cached is None or self._mutated():
            values = {name: self[name] for name in FIELDS}
            watched = {name: value for name, value in values.items() if name not in _UNWATCHED}
            copies = {name: _copied(value) for name, value in watched.items() if isinstance(value, _CONTAINERS)}
            # Copies: a worker keeps what it started with, whatever is done to `conf.task_routes` later.
            vars(self).update(_cached=Settings(**{**values, **copies}), _copies=copies)
        made: Settings = self._cached
        # Who holds a mutable setting may change it unseen: then each look is a close one.
        vars(self)["current"] = None if self._copies else made
        return made

    def _set(self, origin: str, row: Row, value: Any) -> None:
        with self._lock:
            self._layers[origin][row.name] = _checked(row, value)
            self.renew()

    def _origin(self, name: str) -> str:
        for origin in ORIGINS[:-1]:
            if name in self._layers[origin]:
                return origin
        return CODE if _touched(name, self._layers[DEFAULT]) else DEFAULT

    def _value(self, row: Row) -> Any:
        for origin in ORIGINS:
            if row.name in self._layers[origin]:
                return self._layers[origin][row.name]
        value = self._default(row)
        if isinstance(value, _CONTAINERS):
            # Handed out once and kept: `conf.beat_schedule["x"] = ...` changes what the next reader sees.
            value = self._layers[DEFAULT][row.name] = _copied(value)
        return value

    def _default(self, row: Row) -> Any:
        if row.name == "broker_url" and self._app_file:
            return Url(default_broker_url(self._app_file))
        if row.name == "task_default_queue":
            return "celery" if self["profile"] == "celery" else "default"
        return DEFAULTS[row.name] if row.honoured else row.default

    def _mutated(self) -> bool:
        return any(self[name] != copy for name, copy in self._copies.items())

    def _read_sources(self) -> None:
        if self._environment_read and not self._pending:
            return
        with self._lock:
            self._read_all()

    def _read_all(self) -> None:
        if not self._environment_read:
            for name, value in from_environment(self._environ).items():
                try:
                    self._set(ENVIRONMENT, ROWS[name], value)
                except ImproperlyConfigured as error:
                    raise ImproperlyConfigured(f"{PREFIX}{name.upper()} in the environment: {error}") from error
            module = self._variable(CONFIG_MODULE)
            if module:
                self._pending.insert(0, (module, False, None))
            vars(self)["_environment_read"] = True
        while self._pending:
            source, silent, namespace = self._pending[0]
            self._read_object(load_object(source, silent=silent), namespace)
            del self._pending[0]

    def _read_object(self, source: Any, namespace: str | None) -> None:
        values, strangers = from_object(source, namespace)
        for name, value in values.items():
            self._set(OBJECT, ROWS[name], value)
        if strangers:
            named = getattr(source, "__name__", type(source).__name__)
            prefix = prefix_of(namespace)
            log.warning("%s", "; ".join(f"{unknown(name, f' in {named}', prefix)}" for name in strangers))


_CONTAINERS = (dict, list, set)
_UNWATCHED = frozenset({"beat_schedule"})
"""Read when a worker starts and by no call: looking for changes in it with each call would cost more than the call."""


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_copied(part) for part in value]
    return set(value) if isinstance(value, set) else value


def _touched(name: str, lent: Mapping[str, Any]) -> bool:
    if name not in lent:
        return False
    original: Any = DEFAULTS.get(name, ROWS[name].default)
    return bool(lent[name] != original)


def _retired(name: str) -> bool:
    row = ROWS[name]
    return row.mark is Mark.NOT_NEEDED and name.startswith(("celery_", "celeryd_", "celerybeat_", "celerymon_"))


def _checked(row: Row, value: Any) -> Any:
    return convert(row.name, value) if row.honoured else value
