"""The one table of settings: every setting of Celery 5.7, ours, and the old names people still paste."""

from collections.abc import Mapping
from difflib import get_close_matches

from leveret.config.row import Row
from leveret.config.table_core import BROKER, CORE, REDIS, RESULT
from leveret.config.table_rest import BEAT, EVENT, RETIRED, STORES
from leveret.config.table_task import TASK, WORKER

GROUPS: Mapping[str, tuple[Row, ...]] = {
    "The app": CORE,
    "Brokers": BROKER,
    "Results": RESULT,
    "Tasks": TASK,
    "Workers": WORKER,
    "Redis": REDIS,
    "Schedules": BEAT,
    "Events, remote control, signing": EVENT,
    "Celery's other result stores": STORES,
    "Retired names": RETIRED,
}

ROWS: Mapping[str, Row] = {row.name: row for rows in GROUPS.values() for row in rows}

# Old names that are not their namespace's old prefix and the new name's rest (celery/app/defaults.py, `old=`).
OLD_NAMES: Mapping[str, str] = {
    "celery_backend": "result_backend",
    "celery_result_dburi": "database_url",
    "celery_result_db_short_lived_sessions": "database_short_lived_sessions",
    "celery_result_db_tablenames": "database_table_names",
    "celery_result_engine_options": "database_engine_options",
    "celery_max_cached_results": "result_cache_max",
    "celery_task_result_expires": "result_expires",
    "celery_message_compression": "task_compression",
    "celery_eager_propagates_exceptions": "task_eager_propagates",
    "celery_task_error_cb_on_chord_header": "task_allow_error_cb_on_chord_header",
    "celeryd_task_soft_time_limit": "task_soft_time_limit",
    "celeryd_task_time_limit": "task_time_limit",
    "celeryd_worker_lost_wait": "worker_lost_wait",
    "celery_disable_rate_limits": "worker_disable_rate_limits",
    "celery_enable_remote_control": "worker_enable_remote_control",
    "celery_redirect_stdouts": "worker_redirect_stdouts",
    "celery_redirect_stdouts_level": "worker_redirect_stdouts_level",
    "celery_send_events": "worker_send_task_events",
    "celery_send_task_sent_event": "task_send_sent_event",
    "celeryd_state_db": "worker_state_db",
    "celeryd_eta_scheduler": "worker_timer",
    "celeryd_eta_scheduler_precision": "worker_timer_precision",
    "celeryd_autoscaler": "worker_autoscaler",
    "celeryd_prefetch_multiplier": "worker_prefetch_multiplier",
    "broker_connection": "broker_url",
    "celery_broker": "broker_url",
}

_OLD_PREFIXES = (("celery_", ""), ("celery_", "task_"), ("celeryd_", "worker_"), ("celerybeat_", "beat_"))
"""Tried in this order: CELERY_TASK_SERIALIZER is task_serializer, CELERY_DEFAULT_QUEUE is task_default_queue."""

PREFIXES = frozenset(name.partition("_")[0] + "_" for name in ROWS) | {"celeryd_", "celerybeat_", "celery_", "leveret_"}


def find(name: str) -> Row | None:
    """Find the row a name means: Celery's new names, old ones, in any case."""
    lowered = name.lower()
    if (row := ROWS.get(lowered)) is not None:
        return row
    if (renamed := OLD_NAMES.get(lowered)) is not None:
        return ROWS[renamed]
    for old, new in _OLD_PREFIXES:
        if lowered.startswith(old) and (row := ROWS.get(new + lowered.removeprefix(old))) is not None:
            return row
    return None


def nearest(name: str) -> str | None:
    """The known name most like a misspelt one."""
    found = get_close_matches(name.lower(), (*ROWS, *OLD_NAMES), n=1, cutoff=0.6)
    return found[0] if found else None


def looks_like_setting(name: str) -> bool:
    """Whether a name in a module that also holds other things was probably meant for us."""
    lowered = name.lower()
    return any(lowered.startswith(prefix) for prefix in PREFIXES) or bool(
        get_close_matches(lowered, ROWS, n=1, cutoff=0.85)
    )
