"""What Leveret has is found under Celery's own paths."""

from importlib import import_module

import celery.exceptions
import celery.result
import celery.signals
import celery.states
import pytest

PATHS = {
    "": "Celery Task chain chord chunks current_app current_task group maybe_signature shared_task signature uuid",
    ".app": "app_or_default default_app shared_task",
    ".app.task": "Task",
    ".canvas": "Signature StampingVisitor _chain _chord chain chord chunks group maybe_signature maybe_subtask "
    "signature subtask",
    ".result": "AsyncResult EagerResult GroupResult ResultSet allow_join_result assert_will_not_block "
    "result_from_tuple",
    ".schedules": "ParseException crontab maybe_schedule schedule solar",
    ".states": "PENDING SUCCESS READY_STATES PROPAGATE_STATES",
    ".utils": "gen_unique_id uuid",
    ".utils.log": "get_logger get_task_logger",
    ".contrib.django.task": "DjangoTask",
    ".events": "EventReceiver EventDispatcher",
    ".events.state": "State Task Worker",
    ".signals": " ".join(celery.signals.__all__),
    ".exceptions": "Ignore Reject Retry MaxRetriesExceededError SoftTimeLimitExceeded TimeoutError CeleryError",
}


@pytest.mark.parametrize("path", PATHS)
def test_each_name_is_found_where_celery_has_it(path: str) -> None:
    if "django" in path:
        pytest.importorskip("django", reason="Django is not installed")
    ours = import_module(f"leveret.celery{path}")
    theirs = import_module(f"celery{path}")

    for name in PATHS[path].split():
        assert hasattr(ours, name), name
        assert hasattr(theirs, name), name


def test_states_have_celerys_values() -> None:
    ours = import_module("leveret.celery.states")

    for name in ours.__all__:
        if name not in ("PRECEDENCE", "ALL_STATES"):
            assert getattr(ours, name) == getattr(celery.states, name), name
