"""The settings of a Celery app, held against the one table of settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from leveret.cli.migrating.findings import DEFAULT, SETTING, Finding
from leveret.config.row import Mark, Row
from leveret.config.settings import convert, shown
from leveret.config.sources import from_object, load_object, prefix_of
from leveret.config.table import ROWS, nearest
from leveret.errors import ImproperlyConfigured
from leveret.model.endpoint import Url
from leveret.wiring import parts
from leveret.wiring.drivers import DISABLED, RPC

DIFFERENT_DEFAULTS = (
    "broker_url",
    "result_backend",
    "task_acks_late",
    "task_reject_on_worker_lost",
    "task_default_queue",
    "task_default_queue_type",
    "worker_prefetch_multiplier",
    "timezone",
)
"""What changes for a program that says nothing of them."""

MOST_SHOWN = 80
"""Letters of a value: a schedule would fill the screen."""

_RESULTS = {
    "django-db": "results live beside the queue, or in Redis; `django-celery-results` is not read",
    "django-cache": "results live beside the queue, or in Redis; `django-celery-results` is not read",
    "cache": "results live beside the queue, or in Redis",
}
_NOT_SETTINGS = frozenset({"deprecated_settings"})
"""Celery's own notes among the settings."""


def read_settings(app: Any) -> Iterator[Finding]:
    """One finding per setting that the app sets, and per default that is another one here.

    It is read as Leveret would read it: the object that the app names, then what its code sets.
    """
    source, prefix = app._config_source, prefix_of(app.namespace)
    changes = {name: value for name, value in dict(app.conf.changes).items() if name not in _NOT_SETTINGS}
    coded, strangers = from_object(changes, None)
    named, unknown = ({}, []) if source is None else from_object(load_object(source), app.namespace)
    where = source if isinstance(source, str) else getattr(source, "__name__", type(source).__name__)
    for name, value in {**named, **coded}.items():
        yield _judge(ROWS[name], value, "code" if name in coded else where)
    for name in (*strangers, *unknown):
        near = nearest(name.removeprefix(prefix))
        hint = f"did you mean {near}?" if near else "remove it"
        yield Finding(kind=SETTING, name=name, mark=Mark.DIFFERS, note="unknown: a warning at start", change=hint)
    for name in DIFFERENT_DEFAULTS:
        if name not in named and name not in coded:
            yield Finding(kind=DEFAULT, name=name, mark=Mark.DIFFERS, note=ROWS[name].note)


def _judge(row: Row, value: Any, where: str) -> Finding:
    mark, change = row.mark, ""
    if mark is Mark.NOT_NEEDED:
        change = "remove it"
    if row.honoured and (wrong := _refused(row.name, value)):
        mark, change = Mark.NOT_YET, wrong
    elif row.name == "broker_transport_options" and isinstance(value, Mapping) and "visibility_timeout" in value:
        change = "remove visibility_timeout: what the dead held comes back in seconds"
    return Finding(
        kind=SETTING,
        name=f"{row.name} = {_cut(repr(shown(row.name, value)))}",
        mark=mark,
        note=row.note,
        change=change,
        places=(where,),
    )


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _refused(name: str, value: Any) -> str:
    """Why the value cannot be used; empty where it can."""
    if name in ("broker_url", "result_backend") and isinstance(value, str):
        return _no_part("brokers" if name == "broker_url" else "backends", value)
    if name == "worker_pool" and value in ("eventlet", "gevent"):
        return "asyncio runs async def tasks, threads the others"
    try:
        convert(name, value)
    except ImproperlyConfigured as error:
        return str(error)
    return ""


def _no_part(kind: str, value: str) -> str:
    scheme = Url(value).scheme
    if parts.known(kind, scheme) or (kind == "backends" and scheme in (RPC, DISABLED)):
        return ""
    if kind == "backends" and scheme in _RESULTS:
        return _RESULTS[scheme]
    known = sorted({part.name for part in parts.discovered() if part.kind == kind})
    what = "broker" if kind == "brokers" else "result store"
    return f"no {what} for {scheme!r} here yet; there are {', '.join(known)}"
