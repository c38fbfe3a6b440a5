"""`argsrepr` and `kwargsrepr` hide what monitors must not see, through everything that becomes of a call."""

import pytest

from leveret import chain, signals, testing
from leveret.logic.remote.infos import Facts, info
from leveret.logic.wire.events import EventWriter
from leveret.model.message import Message, TaskId
from leveret.testing.stage import StagedLeveret


@pytest.fixture
def app() -> StagedLeveret:
    return testing.app()


def shown(request) -> list:
    return [request.argsrepr, request.kwargsrepr]


def test_a_call_says_what_is_shown_and_a_plain_one_nothing(app: StagedLeveret) -> None:
    @app.task(bind=True)
    def pay(self, card, cvc=0):
        return shown(self.request)

    hidden = pay.apply_async(("4111",), {"cvc": 123}, argsrepr="('4***',)", kwargsrepr="{'cvc': '***'}")
    plain = pay.delay("4111")
    with_set = pay.s("4111").set(argsrepr="<card>").apply_async()
    by_name = app.send_task(pay.name, ("4111",), argsrepr="<card>")
    app.run_until_idle()

    assert hidden.get() == ["('4***',)", "{'cvc': '***'}"]
    assert plain.get() == [None, None]
    assert with_set.get() == by_name.get() == ["<card>", None]


def test_it_stays_hidden_when_it_is_tried_again_with_whatever_arguments_and_in_a_chain(app: StagedLeveret) -> None:
    seen = []

    @app.task(bind=True)
    def pay(self, card):
        seen.append(shown(self.request)[0])
        if self.request.retries < 2:
            raise self.retry(args=(card + "!",) if self.request.retries else None, countdown=0)
        return card

    @app.task
    def first():
        return "4111"

    pay.apply_async(("4111",), argsrepr="<card>")
    app.run_until_idle()
    assert seen == ["<card>"] * 3
    seen.clear()
    chain(first.s(), pay.s().set(argsrepr="<card>")).apply_async()
    app.run_until_idle()
    assert seen == ["<card>"] * 3


def test_a_mere_repr_of_other_arguments_goes_with_them() -> None:
    app = testing.app(task_send_argsrepr=True)
    seen = []

    @app.task(bind=True)
    def count(self, number):
        seen.append(shown(self.request))
        if number < 3:
            raise self.retry(args=(number + 1,), countdown=0)

    count.delay(1)
    app.run_until_idle()
    assert seen == [["(1,)", "{}"], ["(2,)", "{}"], ["(3,)", "{}"]]


def test_events_and_safe_answers_show_it() -> None:
    message = Message(id=TaskId("a"), task="pay", args=("4111",), kwargs={"cvc": 1}, argsrepr="<card>", kwargsrepr="")
    writer = EventWriter("w@x", 1, 0)

    for event in (*writer.received((message,), 1.0), writer.sent(message, 1.0)):
        assert (event.args, event.kwargs) == ("<card>", "")
    safe = info(message, Facts(hostname="w@x"), safe=True)
    assert (safe["args"], safe["kwargs"]) == ("<card>", "")


def test_receivers_see_and_may_change_what_is_shown(app: StagedLeveret) -> None:
    heard = []

    @app.task(bind=True)
    def pay(self, card):
        return shown(self.request)

    def hide(headers, **_):
        heard.append(headers["argsrepr"])
        headers["argsrepr"] = "<hidden>"

    signals.before_task_publish.connect(hide)
    try:
        results = [pay.apply_async(("4111",), argsrepr="<card>"), pay.delay("4111")]
    finally:
        signals.before_task_publish.disconnect(hide)
    app.run_until_idle()
    assert heard == ["<card>", "('4111',)"]
    assert [result.get() for result in results] == [["<hidden>", None]] * 2


def test_what_is_no_text_is_refused_at_the_call(app: StagedLeveret) -> None:
    @app.task
    def pay(card):
        return card

    with pytest.raises(TypeError, match=r"argsrepr=\('4111',\) is no text"):
        pay.apply_async(("4111",), argsrepr=("4111",))
