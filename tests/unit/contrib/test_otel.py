"""A send, the wait and the run are spans of one trace, whichever kind of task; what runs inside sees the run's span."""

import pytest

from leveret import testing

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
    yield lambda: {span.name: span for span in exporter.get_finished_spans()}
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
