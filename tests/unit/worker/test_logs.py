import io
import json
import logging
import sys

import pytest
from tests.unit.worker.rig import CLOCK

from leveret import get_task_logger
from leveret.errors import SoftTimeLimitExceeded
from leveret.logic.results import error_info
from leveret.model.message import Message, TaskId
from leveret.model.node import Node
from leveret.model.options import LogOptions, WorkerOptions
from leveret.model.outcome import ErrorInfo, Failed, Retried, Succeeded
from leveret.model.request import CURRENT, Request
from leveret.worker.logs import LOGGER, LineFormatter, TaskLog, TaskPrints, line_formatter, set_up_logging

MESSAGE = Message(id=TaskId("id-1"), task="tasks.add")
ERROR = ErrorInfo(type="ValueError", module="builtins", args=("boom",), text="boom", traceback="Traceback ...\n")


@pytest.fixture
def at():
    """Set the level for one test."""
    logger = logging.getLogger(LOGGER)
    before = logger.level
    yield logger.setLevel
    logger.setLevel(before)


def lines_of(log, *outcomes):
    for outcome in outcomes:
        if log.wanted(outcome):
            log.ended(MESSAGE, outcome, 0.0123)
    log.flush()


def test_lines_read_as_celery_users_know_them_in_one_write(at):
    at("INFO")
    writes = []
    log = TaskLog(CLOCK, write=writes.append, shape=LineFormatter(process="w-1"))
    log.received(MESSAGE)

    lines_of(log, Succeeded(5, b"5"), Retried(delay=3.0, error=ERROR), Failed(ERROR))

    (text,) = writes
    received, succeeded, retried, raised, trace = text.splitlines()
    assert received.endswith("INFO/w-1] Task tasks.add[id-1] received")
    assert succeeded.endswith("Task tasks.add[id-1] succeeded in 0.0123s: 5")
    assert retried.endswith("Task tasks.add[id-1] retry: Retry in 3s: ValueError('boom')")
    assert raised.endswith("ERROR/w-1] Task tasks.add[id-1] raised unexpected: ValueError('boom')")
    assert trace == "Traceback ..."


@pytest.mark.parametrize(
    "error", [KeyError("x"), FileNotFoundError(2, "No such file"), SoftTimeLimitExceeded(), ValueError("a", 1)]
)
def test_an_exception_is_shown_as_its_repr(at, error):
    at("INFO")
    writes = []

    lines_of(TaskLog(CLOCK, write=writes.append, shape=LineFormatter(process="w-1")), Failed(error_info(error)))

    assert writes[0].splitlines()[0].endswith(f"raised unexpected: {error!r}")


def test_at_the_default_level_only_errors_are_formatted(at):
    at("WARNING")
    writes = []
    log = TaskLog(CLOCK, write=writes.append)

    class Costly:
        def __repr__(self):
            raise AssertionError("formatted")

    lines_of(log, Succeeded(Costly()), Failed(ERROR, expected=True), Failed(ERROR))

    assert len(writes) == 1 and writes[0].count("raised") == 1


def test_json_lines_have_fields(at):
    at("INFO")
    writes = []

    lines_of(TaskLog(CLOCK, write=writes.append, shape=LineFormatter(as_json=True)), Succeeded(5, b"5"))

    line = json.loads(writes[0])
    assert (line["task"], line["id"], line["level"], line["runtime"]) == ("tasks.add", "id-1", "INFO", 0.0123)


def test_somebody_elses_logging_gets_the_lines(at, caplog):
    at("INFO")
    with caplog.at_level("INFO", LOGGER):
        lines_of(TaskLog(CLOCK), Succeeded(5, b"5"))
    assert caplog.records[0].task_id == "id-1"


def test_a_print_in_a_task_becomes_a_log_line_elsewhere_it_passes(caplog):
    stream = io.StringIO()
    prints = TaskPrints(stream)
    print("outside", file=prints)
    token = CURRENT.set(Request(MESSAGE))
    print("half", end=" ", file=prints)
    print("and half", file=prints)
    CURRENT.reset(token)

    assert stream.getvalue() == "outside\n"
    assert [record.getMessage() for record in caplog.records] == ["half and half"]
    assert sys.stdout is not prints


@pytest.fixture
def inside():
    """Be inside a task."""
    token = CURRENT.set(Request(MESSAGE))
    yield
    CURRENT.reset(token)


@pytest.fixture
def root():
    """The root logger, as it was before and after."""
    logger, streams = logging.getLogger(), (sys.stdout, sys.stderr)
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], (sys.stdout, sys.stderr) = handlers, streams
    logger.setLevel(level)


def options(log, **others):
    return WorkerOptions(node=Node(name="w", incarnation="1", boot="b", pid=1), log=log, **others)


def record_of(text, level=logging.INFO):
    return logging.LogRecord("proj", level, __file__, 1, text, (), None)


def test_a_handler_that_writes_to_a_tasks_output_does_not_go_round(root, inside):
    stream = io.StringIO()
    prints = TaskPrints(stream)
    root.handlers[:] = [logging.StreamHandler(prints)]

    print("once", file=prints)

    assert stream.getvalue() == "once\n"


def test_without_formats_of_its_own_a_worker_formats_by_hand():
    assert type(line_formatter(options(LogOptions()), "w-1")) is LineFormatter
    assert type(line_formatter(options(LogOptions(format="%(message)s"), log_json=True), "w-1")) is LineFormatter


def test_lines_inside_and_outside_of_a_task_have_their_own_formats(request):
    shape = line_formatter(
        options(LogOptions(format="%(processName)s %(task_id)s|%(message)s", task_format="%(task_name)s %(message)s")),
        "w-1",
    )

    assert shape.format(record_of("outside")) == "w-1 ???|outside"
    request.getfixturevalue("inside")
    assert shape.format(record_of("inside")) == "tasks.add inside"


def test_a_tasks_events_follow_the_format(at):
    at("INFO")
    writes = []
    shape = line_formatter(options(LogOptions(format="%(asctime)s %(levelname)s %(message)s", datefmt="%Y")), "w-1")

    lines_of(TaskLog(CLOCK, write=writes.append, shape=shape), Succeeded(5, b"5"))

    assert writes[0].split(maxsplit=2)[1:] == ["INFO", "Task tasks.add[id-1] succeeded in 0.0123s: 5\n"]
    assert len(writes[0].split()[0]) == 4


def test_a_date_format_alone_keeps_celerys_lines(inside):
    shape = line_formatter(options(LogOptions(task_datefmt="then")), "w-1")

    assert shape.format(record_of("hello")) == "[then: INFO/w-1] tasks.add[id-1]: hello"


@pytest.mark.parametrize("log", [LogOptions(color=True), LogOptions(color=True, format="%(message)s")])
def test_lines_have_the_color_of_their_level(log):
    shape = line_formatter(options(log), "w-1")

    assert shape.format(record_of("bad", logging.ERROR)).startswith("\033[31m")
    assert shape.event(0.0, "ERROR", "bad", MESSAGE, {}).endswith("\033[0m\n")
    assert "\033" not in shape.format(record_of("good"))


def test_the_apps_own_handlers_stay_where_the_settings_say_so(root):
    own = logging.NullHandler()
    root.handlers[:] = [own]

    kept = set_up_logging(options(LogOptions(hijack_root_logger=False, redirect_stdouts=False)), CLOCK, "w-1")

    assert root.handlers == [own]
    assert not isinstance(sys.stdout, TaskPrints)
    assert kept._write is None


def test_the_worker_takes_the_root_logger_and_the_prints(root, tmp_path):
    root.handlers[:] = [logging.NullHandler()]
    log = LogOptions(redirect_level="ERROR")

    tasks = set_up_logging(options(log, logfile=str(tmp_path / "log"), loglevel="INFO"), CLOCK, "w-1")
    token = CURRENT.set(Request(MESSAGE))
    print("hello")
    CURRENT.reset(token)
    lines_of(tasks, Succeeded(5, b"5"))

    printed, ended = (tmp_path / "log").read_text().splitlines()
    assert printed.endswith("ERROR/w-1] tasks.add[id-1]: hello")
    assert ended.endswith("succeeded in 0.0123s: 5")


def test_a_task_loggers_records_name_the_task_for_any_handler(caplog, request):
    logger = get_task_logger("some.tasks")
    assert get_task_logger("some.tasks") is logger
    assert len(logger.filters) == 1

    logger.warning("outside")
    request.getfixturevalue("inside")
    logger.warning("inside")

    assert [(record.task_name, record.task_id) for record in caplog.records] == [("???", "???"), ("tasks.add", "id-1")]
