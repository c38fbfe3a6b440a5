"""A web server of forty lines, for three pages that machines read: GET and HEAD, one answer a connection."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

log = logging.getLogger("leveret.supervisor")

MOST_BYTES = 8_192
"""Of a request; more is not read."""
PATIENCE_SECONDS = 5.0
MOST_AT_ONCE = 32
_PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str
    content_type: str = "text/plain; charset=utf-8"


class WebServer:
    """A companion of the supervisor; `run` until cancelled. `answer` is asked for a path."""

    def __init__(self, host: str, port: int, answer: Callable[[str], Awaitable[Answer]]) -> None:
        self._host, self._port, self._answer = host, port, answer
        self._open = 0

    async def run(self) -> None:
        try:
            server = await asyncio.start_server(self._serve, self._host, self._port, limit=MOST_BYTES)
        except OSError as error:
            log.error("metrics cannot be shown on %s:%s: %s", self._host, self._port, error)
            return
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MOST_AT_ONCE:
                async with asyncio.timeout(2 * PATIENCE_SECONDS):
                    await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        except Exception:
            log.exception("a page of metrics could not be made")
        finally:
            self._open -= 1
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            request = await reader.readuntil(b"\r\n\r\n")
        words = request.split(b"\r\n", 1)[0].split()
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            answer, head = Answer(400, "bad request\n"), False
        elif words[0] not in (b"GET", b"HEAD"):
            answer, head = Answer(405, "GET or HEAD\n"), False
        else:
            path = words[1].split(b"?", 1)[0].decode("ascii", "replace")
            answer, head = await self._answer(path), words[0] == b"HEAD"
        body = answer.text.encode()
        writer.write(
            f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, '')}\r\nContent-Type: {answer.content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        )
        if not head:
            writer.write(body)
        await writer.drain()
