"""A real Celery in another process, to check bytes against: every test may use it.

    with CeleryReader() as celery:
        celery.read(encoded)             # what a worker's Request makes of our message; raises CeleryRefused
        celery.run(encoded)              # traces the task, answers (result document, Celery's own message)
        celery.build("interop.echo", (1,))  # a message as Celery's client makes it

`assert_celery_reads(pairs)` checks many messages at once, given as (headers, body).
"""

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from leveret.model.delivery import Encoded


class CeleryRefused(AssertionError):
    """Celery raised instead of reading."""


class CeleryReader:
    """Owns one Celery process; strictly one question at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("celery_process.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "CeleryReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def ask(self, command: str, argument: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, argument]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise CeleryRefused("the Celery process has died")
        answer = json.loads(line)
        if "error" in answer:
            raise CeleryRefused(answer["error"])
        return answer["ok"]

    def read(self, encoded: Encoded) -> dict[str, Any]:
        return self.ask("read", to_wire(encoded))

    def run(self, encoded: Encoded) -> tuple[bytes, Encoded]:
        """The result document Celery stores, and the arguments its task got, as Celery sends them on."""
        answer = self.ask("run", to_wire(encoded))
        return base64.b64decode(answer["document"]), from_wire(answer["message"])

    def build(
        self, task: str, args: Iterable[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Encoded:
        """`options` are `as_task_v2`'s; `send={"serializer", "compression", "headers"}` is for the transport."""
        call = {"task": task, "id": options.pop("id", "an-id"), "args": list(args), "kwargs": dict(kwargs or {})}
        return from_wire(self.ask("build", {**call, **options}))

    def read_result(self, document: bytes) -> dict[str, Any]:
        return self.ask("read_result", base64.b64encode(document).decode())


def to_wire(encoded: Encoded) -> dict[str, Any]:
    return {
        "headers": dict(encoded.headers),
        "body": base64.b64encode(encoded.body).decode(),
        "content_type": encoded.content_type,
        "content_encoding": encoded.content_encoding,
        "reply_to": encoded.reply_to,
    }


def from_wire(wire: Mapping[str, Any]) -> Encoded:
    body = base64.b64decode(wire["body"])
    return Encoded(wire["headers"], body, wire["content_type"], wire["content_encoding"], wire["reply_to"] or None)


def assert_celery_reads(pairs: Iterable[tuple[Mapping[str, Any], bytes]]) -> list[dict[str, Any]]:
    """Have real Celery decode json messages given as (headers, body); answers what it made of each."""
    with CeleryReader() as celery:
        return [celery.read(Encoded(headers, body)) for headers, body in pairs]
