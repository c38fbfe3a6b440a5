"""OpenTelemetry (extra `otel`): a span for each send, for the wait in the queue and for each run, in one trace.

    from leveret.contrib.otel import instrument
    instrument()

Call it once, where the app is made: in senders and in workers. The context travels in the message's headers, as
OpenTelemetry's propagators write it, so what Celery's own instrumentation sent is continued, and the other way round.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider

from leveret import __version__, signals

__all__ = ["instrument"]

SENT = "leveret_sent_ns"
"""The header that says when the message was sent, in unix nanoseconds."""
_MOST_OPEN = 1_000
"""Spans that wait for the end of what they are about; of a failed send nobody tells it."""
_FLUSH_MILLIS = 3_000
"""A process may be about to end; less than what it waits for receivers (`worker.telling.speaker`)."""


def instrument(tracer_provider: TracerProvider | None = None) -> Callable[[], None]:
    """Trace from now on; answers what ends it. Without a provider the global one is asked."""
    tracing = _Tracing(trace.get_tracer("leveret", __version__, tracer_provider), tracer_provider)
    receivers: dict[signals.Signal, Callable[..., Any]] = {
        signals.before_task_publish: tracing.sending,
        signals.after_task_publish: tracing.sent,
        signals.task_prerun: tracing.begun,
        signals.task_failure: tracing.failed,
        signals.task_retry: tracing.retried,
        signals.task_postrun: tracing.ended,
        signals.task_revoked: tracing.revoked,
        signals.worker_process_shutdown: tracing.flush,
    }
    for signal, receiver in receivers.items():
        signal.connect(receiver, weak=False)

    def end() -> None:
        for signal, receiver in receivers.items():
            signal.disconnect(receiver)

    return end


@dataclass(slots=True)
class _Run:
    span: Span
    token: Any
    """Of the context it is the current span of; None where it is nobody's (a call of a batch that is not the first)."""
    request: Any


class _Tracing:
    def __init__(self, tracer: Tracer, provider: TracerProvider | None) -> None:
        self._tracer, self._provider = tracer, provider
        self._sends: OrderedDict[str, Span] = OrderedDict()
        self._runs: dict[str, _Run] = {}

    # Sending

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

    # Running

    def begun(self, task_id: str, task: Any, request: Any, **_: Any) -> None:
        given = request.headers or {}
        parent = propagate.extract({name: value for name, value in given.items() if isinstance(value, str)})
        place = request.delivery_info
        attributes = _attributes(task_id, task.name, place["routing_key"]) | {
            "leveret.retries": request.retries,
            "leveret.redelivered": bool(place["redelivered"]),
        }
        sent = given.get(SENT)
        if type(sent) is int:
            self._waited(task.name, parent, attributes, sent, request.message.not_before)
        span = self._tracer.start_span(f"{task.name} run", parent, kind=SpanKind.CONSUMER, attributes=attributes)
        here = trace.set_span_in_context(span, parent)
        first = task.request.id == task_id
        self._runs[task_id] = _Run(span, context.attach(here) if first else None, request)
        carried: dict[str, Any] = {}
        propagate.inject(carried, context=here)
        request.carry(carried)

    def _waited(self, name: str, parent: Any, attributes: dict[str, Any], sent: int, due: float | None) -> None:
        """From the send until now. What was to wait says until when."""
        now = time.time_ns()
        # Clocks of two machines differ: no wait ends before it began.
        wait = self._tracer.start_span(f"{name} wait", parent, attributes=attributes, start_time=min(sent, now))
        if due is not None:
            wait.add_event("due", timestamp=min(int(due * 1e9), now))
        wait.end(now)

    def failed(self, task_id: str, exception: BaseException | None, traceback: Any, **_: Any) -> None:
        run = self._runs.get(task_id)
        if run is None or exception is None:
            return
        run.span.record_exception(exception)
        run.span.set_status(Status(StatusCode.ERROR, str(exception)))
        if traceback is None:
            # It was ended from outside (its hard limit), and the process is about to end with it: no postrun comes.
            self._end(self._runs.pop(task_id), "FAILURE")
            self.flush()

    def retried(self, request: Any, reason: Any, **_: Any) -> None:
        """This attempt failed, unless the task asked for another one without saying of what."""
        run, cause = self._runs.get(request.id), getattr(reason, "exc", reason)
        if run is not None and isinstance(cause, BaseException):
            run.span.record_exception(cause)
            run.span.set_status(Status(StatusCode.ERROR, str(cause)))

    def revoked(self, request: Any, terminated: bool, signum: int | None, **_: Any) -> None:
        """Ended from outside: one that could be asked has told its end already."""
        run = self._runs.pop(request.id, None) if terminated else None
        if run is not None:
            run.span.set_status(Status(StatusCode.ERROR, f"terminated (signal {signum})"))
            self._end(run, "REVOKED")
            self.flush()

    def ended(self, task_id: str, state: str, **_: Any) -> None:
        run = self._runs.pop(task_id, None)
        if run is None:
            return
        if run.token is not None:
            context.detach(run.token)
        # What follows waits from now on.
        run.request.carry({SENT: time.time_ns()})
        self._end(run, state)

    def _end(self, run: _Run, state: str) -> None:
        run.span.set_attribute("leveret.state", state)
        run.span.end()

    def flush(self, **_: Any) -> None:
        flush = getattr(self._provider or trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush(_FLUSH_MILLIS)


def _attributes(task_id: str, task: str, queue: str) -> dict[str, Any]:
    return {
        "messaging.system": "leveret",
        "messaging.message.id": task_id,
        "messaging.destination.name": queue,
        "leveret.task": task,
    }
