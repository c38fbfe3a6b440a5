"""OpenTelemetry (extra `otel`): a span for each send, for the wait in the queue and for each run, in one trace.

    from leveret.contrib.otel import instrument
    instrument()

Call it once, where the app is made: in senders and in workers. The context travels in the message's headers, as
OpenTelemetry's propagators write it, so what Celery's own instrumentation sent is continued, and the other way round.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from leveret import __version__, signals

__all__ = ["instrument"]

SENT = "leveret_sent_ns"
"""The header that says when the message was sent, in unix nanoseconds."""
_MOST_OPEN = 1_000
"""Spans that wait for the end of what they are about; of a failed send nobody tells it."""


def instrument(tracer_provider: TracerProvider | None = None) -> Callable[[], None]:
    """Trace from now on; answers what ends it. Without a provider the global one is asked."""
    tracing = _Tracing(trace.get_tracer("leveret", __version__, tracer_provider))
    receivers: dict[signals.Signal, Callable[..., Any]] = {
        signals.before_task_publish: tracing.sending,
        signals.after_task_publish: tracing.sent,
        signals.task_prerun: tracing.begun,
        signals.task_failure: tracing.failed,
        signals.task_postrun: tracing.ended,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False)

    def end() -> None:
        for signal, receiver in receivers.items():
            signal.disconnect(receiver)

    return end


class _Tracing:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._sends: OrderedDict[str, Span] = OrderedDict()
        self._runs: dict[str, tuple[Span, Any]] = {}

    def sending(self, sender: str, headers: dict[str, Any], routing_key: str, **_: Any) -> None:
        span = self._tracer.start_span(
            f"{sender} publish", kind=SpanKind.PRODUCER, attributes=_attributes(headers["id"], sender, routing_key)
        )
        propagate.inject(headers, context=trace.set_span_in_context(span))
        headers[SENT] = time.time_ns()
        self._sends[headers["id"]] = span
        while len(self._sends) > _MOST_OPEN:
            self._sends.popitem(last=False)[1].end()

    def sent(self, headers: dict[str, Any], **_: Any) -> None:
        span = self._sends.pop(headers["id"], None)
        if span is not None:
            span.end()

    def begun(self, task_id: str, task: Any, **_: Any) -> None:
        request = task.request
        headers = {name: value for name, value in (request.headers or {}).items() if isinstance(value, str)}
        parent = propagate.extract(headers)
        attributes = _attributes(task_id, task.name, request.delivery_info["routing_key"])
        sent = (request.headers or {}).get(SENT)
        if isinstance(sent, int) and not request.retries:
            wait = self._tracer.start_span(f"{task.name} wait", parent, attributes=attributes, start_time=sent)
            wait.end()
        span = self._tracer.start_span(
            f"{task.name} run",
            parent,
            kind=SpanKind.CONSUMER,
            attributes={**attributes, "leveret.retries": request.retries},
        )
        self._runs[task_id] = (span, context.attach(trace.set_span_in_context(span, parent)))

    def failed(self, task_id: str, exception: BaseException | None, **_: Any) -> None:
        run = self._runs.get(task_id)
        if run is not None and exception is not None:
            run[0].record_exception(exception)
            run[0].set_status(Status(StatusCode.ERROR, str(exception)))

    def ended(self, task_id: str, state: str, **_: Any) -> None:
        run = self._runs.pop(task_id, None)
        if run is not None:
            span, token = run
            context.detach(token)
            span.set_attribute("leveret.state", state)
            span.end()


def _attributes(task_id: str, task: str, queue: str) -> dict[str, Any]:
    return {
        "messaging.system": "leveret",
        "messaging.message.id": task_id,
        "messaging.destination.name": queue,
        "leveret.task": task,
    }
