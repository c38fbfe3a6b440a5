"""Error callbacks of the new style as messages."""

import pytest
from tests.unit.logic.delivering import Known, define

from leveret.logic.canvas.errbacks import ERRBACK
from leveret.logic.following import Following
from leveret.model.message import Embed, Message, TaskId, lane_of
from leveret.model.outcome import ErrorInfo
from leveret.model.signature import SignatureSpec

ERROR = ErrorInfo(type="ValueError", module="builtins", args=("boom",), text="boom")


def failed(task: str) -> Message:
    return Message(id=TaskId("a"), task="add", embed=Embed(errbacks=(SignatureSpec(task=task),)))


def follow(task: str, **beside_celery: str) -> Message:
    known = Known(
        old=define("old", positional=("id",)),
        new=define("new", positional=("request", "exc", "traceback")),
    )
    (message,) = Following(registry=known, **beside_celery).failure(failed(task), ERROR, 0.0)
    return message


def test_beside_celery_the_new_style_waits_where_only_we_look():
    message = follow("new", errback_lane=ERRBACK)

    assert lane_of(message) == ERRBACK
    assert message.settings[ERRBACK] is True


@pytest.mark.parametrize(("task", "lane"), [("old", ERRBACK), ("new", "")])
def test_what_celery_can_run_or_never_sees_has_no_lane(task: str, lane: str):
    assert lane_of(follow(task, errback_lane=lane)) == ""


def test_without_lanes_the_new_style_waits_in_a_queue_of_ours():
    message = follow("new", errback_prefix="ours.")

    assert (message.queue, message.exchange, message.routing_key) == ("ours.default", "", "")
    assert message.settings[ERRBACK] is True
    assert follow("old", errback_prefix="ours.").queue == "default"
