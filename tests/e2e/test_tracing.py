"""Spans of real producers and workers, exported as OTLP over HTTP to a receiver that reads the published protobuf
messages: what was sent, how long it waited and what ran is one trace, across processes."""

import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

ROOT = Path(__file__).parents[2]
APP = """
import os, time
from leveret import Leveret, signals
from leveret.contrib.otel import instrument
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

app = Leveret("traced", broker=os.environ["BROKER"])
instrument()

def begin(**_):
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)

signals.worker_process_init.connect(begin)

@app.task
def add(*numbers):
    with trace.get_tracer("of the user").start_as_current_span("inside"):
        return sum(numbers)

@app.task
async def aadd(*numbers):
    with trace.get_tracer("of the user").start_as_current_span("inside"):
        return sum(numbers)

@app.task(autoretry_for=(ConnectionError,), retry_backoff=False, default_retry_delay=0, max_retries=1)
def flaky():
    raise ConnectionError("gone")

@app.task(time_limit=1)
def endless():
    while True:
        time.sleep(0.01)
"""
PRODUCER = """
from leveret import chain
from opentelemetry import trace
import traced
traced.begin()
with trace.get_tracer("of the user").start_as_current_span("request"):
    chain(traced.add.s(1, 1), traced.aadd.s(2)).apply_async()
traced.flaky.delay()
traced.endless.delay()
trace.get_tracer_provider().shutdown()
"""


class Receiver:
    """An OTLP endpoint: `POST /v1/traces` with a protobuf body."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []
        """(service instance, span)"""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                wanted = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
                if wanted:
                    receiver.take(ExportTraceServiceRequest.FromString(body))
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200 if wanted else 400)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, exported: ExportTraceServiceRequest) -> None:
        for resource in exported.resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.spans += [
                (named.get("service.name", ""), span) for scope in resource.scope_spans for span in scope.spans
            ]

    def named(self, name: str) -> list[Span]:
        return sorted((span for _, span in self.spans if span.name == name), key=lambda span: span.start_time_unix_nano)

    def services(self, name: str) -> set[str]:
        return {service for service, span in self.spans if span.name == name}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def attributes(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_receiver_sees_send_wait_and_run_of_three_processes_in_one_trace(
    receiver: Receiver, tmp_path: Path, pool: str
) -> None:
    (tmp_path / "traced.py").write_text(APP)
    environment = {
        **os.environ,
        "BROKER": f"sqlite:///{tmp_path}/queue.db",
        "PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    log = (tmp_path / "log").open("w")
    command = [sys.executable, "-m", "leveret.cli", "-A", "traced", "worker", "-P", pool, "-c", "2", "-n", "t@node"]
    worker = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**environment, "OTEL_SERVICE_NAME": "worker"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        subprocess.run(
            [sys.executable, "-c", PRODUCER],
            cwd=tmp_path,
            env={**environment, "OTEL_SERVICE_NAME": "producer"},
            check=True,
            timeout=60,
        )
        deadline = time.monotonic() + 60
        awaited = {"traced.aadd run": 1, "traced.flaky run": 2, "traced.endless run": 1, "request": 1, "inside": 2}
        while any(len(receiver.named(name)) < count for name, count in awaited.items()):
            assert time.monotonic() < deadline, ([s.name for _, s in receiver.spans], (tmp_path / "log").read_text())
            time.sleep(0.05)
        worker.terminate()
        assert worker.wait(20) == 0
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        log.close()

    (request,) = receiver.named("request")
    (publish,) = receiver.named("traced.add publish")
    (waited,), (ran,) = receiver.named("traced.add wait"), receiver.named("traced.add run")
    (next_waited,), (next_ran,) = receiver.named("traced.aadd wait"), receiver.named("traced.aadd run")
    first, second = receiver.named("inside")
    of_one_trace = [request, publish, waited, ran, next_waited, next_ran, first, second]
    assert {span.trace_id for span in of_one_trace} == {request.trace_id}
    parents = {span.span_id: span.parent_span_id for span in of_one_trace}
    assert parents == {
        request.span_id: b"",
        publish.span_id: request.span_id,
        waited.span_id: publish.span_id,
        ran.span_id: publish.span_id,
        first.span_id: ran.span_id,
        # A step of a chain is below the run it follows.
        next_waited.span_id: ran.span_id,
        next_ran.span_id: ran.span_id,
        second.span_id: next_ran.span_id,
    }
    assert receiver.services("traced.add publish") == {"producer"}
    assert receiver.services("traced.add wait") == receiver.services("traced.add run") == {"worker"}
    assert (publish.kind, ran.kind) == (Span.SPAN_KIND_PRODUCER, Span.SPAN_KIND_CONSUMER)
    # A wait begins at the send and is over when the run begins.
    assert publish.start_time_unix_nano <= waited.start_time_unix_nano <= waited.end_time_unix_nano
    assert waited.end_time_unix_nano <= ran.start_time_unix_nano
    assert ran.end_time_unix_nano - next_waited.start_time_unix_nano < 1e9

    # A retry is below the attempt it repeats, and both have failed.
    (sent,), (attempt, retry) = receiver.named("traced.flaky publish"), receiver.named("traced.flaky run")
    assert attempt.trace_id == retry.trace_id == sent.trace_id != request.trace_id
    assert (attempt.parent_span_id, retry.parent_span_id) == (sent.span_id, attempt.span_id)
    assert [attributes(span)["leveret.state"] for span in (attempt, retry)] == ["RETRY", "FAILURE"]
    for span in (attempt, retry):
        assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "gone")
        assert [event.name for event in span.events] == ["exception"]

    # A run that its hard limit ended is told of before its process is gone.
    (ended,) = receiver.named("traced.endless run")
    assert ended.status.code == Status.STATUS_CODE_ERROR and attributes(ended)["leveret.state"] == "FAILURE"
    assert ended.parent_span_id == receiver.named("traced.endless publish")[0].span_id
    assert not {span.status.code for span in (ran, next_ran)} & {Status.STATUS_CODE_ERROR}
