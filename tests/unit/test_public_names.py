"""The front door: what it offers is a promise, what it costs too."""

import subprocess
import sys
from importlib import import_module

import leveret
from leveret import errors, testing

NAMES = [
    "AsyncResult",
    "Broadcast",
    "CircuitBreaker",
    "Concurrency",
    "EagerResult",
    "Exchange",
    "GroupResult",
    "Leveret",
    "Queue",
    "Rate",
    "ResultSet",
    "RetryBudget",
    "Signature",
    "Task",
    "binding",
    "chain",
    "chord",
    "chunks",
    "clocked",
    "control_command",
    "crontab",
    "current_app",
    "current_task",
    "get_task_logger",
    "group",
    "inspect_command",
    "maybe_signature",
    "schedule",
    "shared_task",
    "signature",
    "solar",
    "states",
    "uuid",
    "xmap",
    "xstarmap",
]

ERRORS = [
    "AlreadyRegistered",
    "BrokerError",
    "CallerError",
    "Cancel",
    "ChordError",
    "ContentDisallowed",
    "DecodeError",
    "EncodeError",
    "Ignore",
    "ImproperlyConfigured",
    "IncompleteStream",
    "InvalidTaskError",
    "LeaseLost",
    "LeveretError",
    "LeveretWarning",
    "MaxRetriesExceededError",
    "MessageTooLarge",
    "MissingExtra",
    "NoSuchEntry",
    "NotRegistered",
    "NotYet",
    "OperationalError",
    "PeerError",
    "PublishFailed",
    "PublishUnknown",
    "QueueNotFound",
    "Reject",
    "RemoteError",
    "ResultIgnored",
    "Retry",
    "SecurityError",
    "Snooze",
    "SoftTimeLimitExceeded",
    "StoreBusy",
    "TaskAlreadySent",
    "TaskError",
    "TaskPredicate",
    "TaskRevokedError",
    "Terminated",
    "TimeLimitExceeded",
    "TimeoutError",
    "UnknownSetting",
    "WorkerLostError",
]

MODULES = {
    "leveret.testing": ["NeverComes", "Sent", "SimClock", "Stage", "StagedLeveret", "app", "using"],
}


def test_the_public_names_are_pinned() -> None:
    assert sorted(leveret.__all__) == sorted(NAMES)
    for name in NAMES:
        assert getattr(leveret, name) is not None
    for module, names in MODULES.items():
        assert sorted(import_module(module).__all__) == sorted(names)
    assert all(getattr(testing, name) is not None for name in testing.__all__)


def test_the_errors_are_pinned_and_have_one_root() -> None:
    found = {
        name: value for name, value in vars(errors).items() if isinstance(value, type) and not name.startswith("_")
    }
    found.pop("Any", None)

    assert sorted(found) == sorted(ERRORS)
    assert all(issubclass(value, errors.LeveretError | errors.LeveretWarning) for value in found.values())


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(leveret, "Celery")


def _loaded_after(code: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(printed.stdout.split())


def test_the_front_door_loads_next_to_nothing() -> None:
    loaded = _loaded_after("import leveret")

    assert loaded.isdisjoint({"asyncio", "ssl", "msgspec", "socket", "sqlite3"})
    assert not {name for name in loaded if name.startswith("leveret.")}


def test_declaring_tasks_loads_no_loop_and_no_driver() -> None:
    loaded = _loaded_after(
        "from leveret import Leveret\napp = Leveret('x', broker='memory://')\n@app.task\ndef f(): ..."
    )

    assert loaded.isdisjoint({"asyncio", "ssl", "socket", "sqlite3"})
    assert not {name for name in loaded if name.startswith(("leveret.brokers", "leveret.wiring", "leveret.worker"))}
