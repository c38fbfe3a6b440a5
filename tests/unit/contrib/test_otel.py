"""A send, the wait and the run are spans of one trace, whichever kind of task; what runs inside sees the run's span."""

import time

import pytest

from leveret import Batch, Call, chain, chord, signals, testing

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from leveret.contrib.otel import instrument


@pytest.fixture
def spans():
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    end = instrument(provider)

    def found():
        assert not [span for span in exporter.get_finished_spans() if span.end_time < span.start_time]
        return {span.name: span for span in exporter.get_finished_spans()}

    found.all = exporter.get_finished_spans
    yield found
    end()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_send_wait_and_run_are_one_trace(spans, asynchronous: bool) -> None:
    app = testing.app()

    def plain() -> str:
        return format(trace.get_current_span().get_span_context().span_id, "016x")

    async def coroutine() -> str:
        return plain()

    task = app.task(name="o.task")(coroutine if asynchronous else plain)
    result = task.delay()
    app.run_until_idle()

    found = spans()
    publish, wait, run = (found[f"o.task {what}"] for what in ("publish", "wait", "run"))
    assert {span.context.trace_id for span in (publish, wait, run)} == {publish.context.trace_id}
    assert wait.parent.span_id == run.parent.span_id == publish.context.span_id
    assert (publish.kind, run.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert result.get() == format(run.context.span_id, "016x")
    assert run.attributes["messaging.message.id"] == result.id and run.attributes["leveret.state"] == "SUCCESS"
    assert wait.start_time <= wait.end_time


def test_a_failure_is_an_error_and_what_it_sent_a_child(spans) -> None:
    app = testing.app()

    @app.task(name="o.inner")
    def inner():
        return 1

    @app.task(name="o.outer")
    def outer():
        inner.delay()
        raise ValueError("no")

    outer.delay()
    app.run_until_idle()

    found = spans()
    assert found["o.outer run"].status.status_code is StatusCode.ERROR
    assert found["o.outer run"].events[0].name == "exception"
    assert found["o.inner publish"].parent.span_id == found["o.outer run"].context.span_id
    assert found["o.inner run"].context.trace_id == found["o.outer publish"].context.trace_id


def of_one_trace(spans) -> None:
    assert len({span.context.trace_id for span in spans}) == 1, [(s.name, s.context.trace_id) for s in spans]


def test_a_retry_continues_the_trace_below_the_run_that_asked_for_it(spans) -> None:
    app = testing.app()

    @app.task(name="o.flaky", autoretry_for=(ValueError,), retry_backoff=False, default_retry_delay=30, max_retries=2)
    def flaky():
        if flaky.request.retries < 1:
            raise ValueError("not yet")
        return "done"

    result = flaky.delay()
    app.advance(60)
    assert result.get() == "done"

    first, second = (span for span in spans.all() if span.name == "o.flaky run")
    publish = spans()["o.flaky publish"]
    of_one_trace(spans.all())
    assert first.parent.span_id == publish.context.span_id and second.parent.span_id == first.context.span_id
    assert (first.attributes["leveret.state"], first.status.status_code) == ("RETRY", StatusCode.ERROR)
    assert (second.attributes["leveret.state"], second.status.status_code) == ("SUCCESS", StatusCode.UNSET)
    waits = [span for span in spans.all() if span.name == "o.flaky wait"]
    assert [wait.parent.span_id for wait in waits] == [publish.context.span_id, first.context.span_id]
    assert [event.name for wait in waits for event in wait.events] == ["due"]


def test_a_retry_without_a_reason_is_no_error(spans) -> None:
    app = testing.app()

    @app.task(name="o.asks", bind=True)
    def asks(self):
        if not self.request.retries:
            raise self.retry(countdown=1)

    asks.delay()
    app.advance(5)
    assert [span.status.status_code for span in spans.all() if span.name == "o.asks run"] == [StatusCode.UNSET] * 2


def test_what_follows_a_run_is_below_it_chains_links_and_bodies(spans) -> None:
    app = testing.app()

    @app.task(name="o.one")
    def one(*_):
        return 1

    @app.task(name="o.two")
    def two(*_):
        return 2

    @app.task(name="o.total")
    def total(values):
        return sum(values)

    (chain(one.s(), two.s().set(link=total.si([5]))) | chord([one.s(), one.s()], total.s())).apply_async()
    app.run_until_idle()

    of_one_trace(spans.all())
    runs = [span for span in spans.all() if span.name.endswith(" run")]
    by_id = {span.context.span_id: span.name for span in spans.all()}
    below = sorted((span.name, by_id.get(span.parent.span_id)) for span in runs)
    assert below == [
        ("o.one run", "o.one publish"),
        ("o.one run", "o.two run"),
        ("o.one run", "o.two run"),
        ("o.total run", "o.one run"),
        ("o.total run", "o.two run"),
        ("o.two run", "o.one run"),
    ]
    assert len([span for span in spans.all() if span.name.endswith(" wait")]) == len(runs)


def test_error_callbacks_are_below_the_run_that_failed(spans) -> None:
    app = testing.app()

    @app.task(name="o.bad")
    def bad():
        raise ValueError("no")

    @app.task(name="o.sorry")
    def sorry(request, error, traceback):
        return 1

    bad.apply_async(link_error=sorry.s())
    app.run_until_idle()
    assert spans()["o.sorry run"].parent.span_id == spans()["o.bad run"].context.span_id


def test_each_call_of_a_batch_is_in_the_trace_of_its_own_send(spans) -> None:
    app = testing.app()

    @app.task(name="o.batch", batch=Batch(size=3, within=1))
    def batch(calls: list[Call]):
        for call in calls:
            call.succeed(1)

    for _ in range(3):
        batch.delay()
    app.run_until_idle()

    publishes = {span.context.span_id: span.context.trace_id for span in spans.all() if span.name == "o.batch publish"}
    runs = {span.parent.span_id: span.context.trace_id for span in spans.all() if span.name == "o.batch run"}
    assert len(publishes) == 3 and runs == publishes
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_the_callers_own_headers_stay_and_the_clock_of_a_sender_may_be_ahead(spans) -> None:
    app = testing.app()

    @app.task(name="o.own")
    def own():
        return own.request.headers["mine"]

    ahead = time.time_ns() + 10**12
    result = own.apply_async(headers={"mine": "kept"})
    app.run_until_idle()
    assert result.get() == "kept"

    def late(headers, **_):
        headers["leveret_sent_ns"] = ahead

    signals.before_task_publish.connect(late)
    own.apply_async(headers={"mine": "kept"})
    app.run_until_idle()
    assert spans()["o.own wait"].end_time - spans()["o.own wait"].start_time < 10**10
