import io
import json
import logging
import sys

import pytest
from tests.unit.worker.rig import CLOCK

from leveret.model.message import Message, TaskId
from leveret.model.outcome import ErrorInfo, Failed, Retried, Succeeded
from leveret.model.request import CURRENT, Request
from leveret.worker.logs import LOGGER, TaskLog, TaskPrints

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
    log = TaskLog(CLOCK, write=writes.append, process="w-1")
    log.received(MESSAGE)

    lines_of(log, Succeeded(5, b"5"), Retried(delay=3.0, error=ERROR), Failed(ERROR))

    (text,) = writes
    received, succeeded, retried, raised, trace = text.splitlines()
    assert received.endswith("INFO/w-1] Task tasks.add[id-1] received")
    assert succeeded.endswith("Task tasks.add[id-1] succeeded in 0.0123s: 5")
    assert retried.endswith("Task tasks.add[id-1] retry: Retry in 3s: ValueError('boom')")
    assert raised.endswith("ERROR/w-1] Task tasks.add[id-1] raised unexpected: ValueError('boom')")
    assert trace == "Traceback ..."


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

    lines_of(TaskLog(CLOCK, write=writes.append, as_json=True), Succeeded(5, b"5"))

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
