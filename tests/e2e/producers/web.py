"""A WSGI and an ASGI program: `GET /?start=S&count=N` sends S..S+N-1 and answers its pid and when it began and ended.

Imported before the fork under `--preload`: -2 is then sent by the parent.
"""

import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from shop import asend, send

if os.environ.get("SEND_BEFORE_FORK"):
    send(-2, 1)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    started = time.monotonic()
    send(*_asked(environ["QUERY_STRING"]))
    start_response("200 OK", [("Content-Type", "application/json")])
    return [_answer(started)]


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], write: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    started = time.monotonic()
    await asend(*_asked(scope["query_string"].decode()))
    await write({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await write({"type": "http.response.body", "body": _answer(started)})


def _asked(query: str) -> tuple[int, int]:
    values = parse_qs(query)
    return int(values["start"][0]), int(values["count"][0])


def _answer(started: float) -> bytes:
    return json.dumps({"pid": os.getpid(), "began": started, "ended": time.monotonic()}).encode()
