"""`task.request`, under Celery's names."""

from leveret.model.message import Message, TaskId
from leveret.model.request import Request

REQUEST = Request(
    Message(id=TaskId("id-1"), task="add", args=(1,), not_before=0.0, expires=60.0, headers={"tenant": "t"}, attempt=2),
    hostname="w1@host",
)


def test_moments_are_text_as_celery_writes_them():
    assert REQUEST.eta == "1970-01-01T00:00:00+00:00"
    assert REQUEST.expires == "1970-01-01T00:01:00+00:00"
    assert Request(Message(id=TaskId("x"), task="add")).eta is None


def test_absent_names_are_none_and_own_headers_are_attributes():
    assert (REQUEST.tenant, REQUEST.nothing, REQUEST.get("nothing", 7)) == ("t", None, 7)
    assert (REQUEST.retries, REQUEST.correlation_id, REQUEST.hostname) == (2, "id-1", "w1@host")


def test_a_printed_request_shows_what_there_is_to_know():
    text = repr(REQUEST)

    assert text.startswith("<Context: {'id': 'id-1', 'task': 'add', 'args': (1,)")
    assert "'retries': 2" in text and "1970-01-01T00:00:00" in text and "tenant" in text


def test_what_is_known_of_the_delivery_is_told_when_it_is_asked_for():
    request = Request(Message(id=TaskId("x"), task="add", queue="q", priority=3), redelivered=True)

    assert request.delivery_info == {"exchange": "", "routing_key": "q", "priority": 3, "redelivered": True}
    request.delivery_info["own"] = 1
    assert request.delivery_info["own"] == 1
    assert "'routing_key': 'q'" in repr(Request(Message(id=TaskId("x"), task="add", queue="q")))
