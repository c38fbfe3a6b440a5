"""`leveret events`: what happens, as it happens: a live view, or (`--dump`) one line for each event."""

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from leveret.app import Leveret
from leveret.cli.invocation import invocation, invocation_options
from leveret.cli.verbs.target import target_app
from leveret.cli.watch.screen import Screen
from leveret.client.events.state import State

Event = dict[str, Any]
SPOKEN = {"worker-online": "started", "worker-offline": "shutdown", "worker-heartbeat": "heartbeat"}
"""Celery's words for what workers say."""
_HIDDEN = {"utcoffset", "clock", "pid", "local_received", "hostname", "timestamp", "type", "uuid"}
_KNOWN_NAMES = 10_000


@click.command("events")
@click.option("-d", "--dump", is_flag=True, help="Print one line for each event.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as JSON.")
@click.option("--limit", type=int, metavar="N", help="Stop after N messages.")
@click.option("--key", default="#", show_default=True, metavar="TOPIC", help="Only these, as in task.# or worker.*.")
@invocation_options
def command(dump: bool, as_json: bool, limit: int | None, key: str) -> None:
    """Watch tasks and nodes. Nodes tell of their tasks when started with -E, or told to (`control enable_events`)."""
    app = target_app()
    if as_json:
        asyncio.run(_watch(app, key, limit, lambda event: _say(json.dumps(event))))
    elif dump or not sys.stdout.isatty():
        asyncio.run(_watch(app, key, limit, Dump().tell))
    else:
        asyncio.run(_show(app, key, limit))


async def _watch(app: Leveret, key: str, limit: int | None, tell: Callable[[Event], None]) -> None:
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": tell}, routing_key=key)
        await receiver.acapture(limit=limit)


async def _show(app: Leveret, key: str, limit: int | None) -> None:
    state = State()
    with app.connection() as connection, Screen(connection.as_uri(), color=not invocation().no_color) as screen:

        def take(event: Event) -> None:
            state.event(event)

        painting = asyncio.ensure_future(screen.paint(state))
        try:
            receiver = app.events.Receiver(connection, handlers={"*": take}, routing_key=key)
            await receiver.acapture(limit=limit)
        finally:
            painting.cancel()


class Dump:
    """A line for each event; tasks by the name they were received under."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def tell(self, event: Event) -> None:
        at = datetime.fromtimestamp(event.get("timestamp") or event["local_received"])
        rest = " ".join(f"{name}={value}" for name, value in event.items() if name not in _HIDDEN and value is not None)
        _say(f"{event.get('hostname', '')} [{at:%Y-%m-%d %H:%M:%S.%f}] {self._subject(event)}: {rest}")

    def _subject(self, event: Event) -> str:
        kind, uuid = event["type"], event.get("uuid")
        said = SPOKEN.get(kind) or kind.replace("-", " ")
        if uuid is None:
            return said
        if event.get("name"):
            while len(self._names) >= _KNOWN_NAMES:
                del self._names[next(iter(self._names))]
            self._names[uuid] = event["name"]
        return f"{said} {self._names.get(uuid, '')}({uuid})"


def _say(line: str) -> None:
    # What is in an event comes from elsewhere: one event is one line, and no terminal obeys it.
    click.echo("".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line))
    sys.stdout.flush()
