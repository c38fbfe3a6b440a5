"""`app.control`: steering nodes, Celery's workers among them; each verb for callers' threads and for their loops."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Unpack

from leveret.client.control.calling import as_replies
from leveret.client.control.inspecting import Inspect
from leveret.client.control.nodes import OfNodes
from leveret.client.control.pausing import OfPauses
from leveret.client.control.tasks import OfTasks
from leveret.client.control.terms import App, BroadcastOptions, Replies, Steering
from leveret.errors import ImproperlyConfigured
from leveret.logic.remote.marks import of_command
from leveret.model.remote.command import CALL_SECONDS, Answer, Command


class Control(OfTasks, OfNodes, OfPauses):
    """Without `reply=True` a command is sent and nobody waits. Celery's names (`celery/app/control.py`)."""

    def __init__(self, app: App, connect: Callable[[Any], Steering]) -> None:
        self._app, self._connect = app, connect

    def inspect(
        self,
        destination: Iterable[str] | str | None = None,
        timeout: float = CALL_SECONDS,
        callback: Callable[[dict[str, Any]], Any] | None = None,
        connection: Any = None,
        app: Any = None,
        limit: int | None = None,
        pattern: str | None = None,
        matcher: str | None = None,
    ) -> Inspect:
        """Questions to nodes. Celery's signature."""
        options: BroadcastOptions = {
            "timeout": timeout, "callback": callback, "limit": limit, "pattern": pattern, "matcher": matcher,
        }  # fmt: skip
        return Inspect(self, destination, options)

    # The command itself

    async def abroadcast(
        self, command: str, arguments: Mapping[str, Any] | None = None, **options: Unpack[BroadcastOptions]
    ) -> Replies | None:
        """Send any command. With `reply=True` answers what nodes said within `timeout` seconds. What revokes is first
        written where claims look."""
        steering = self._connect(self._app.conf.settings)
        if revoked := of_command(command, arguments or {}):
            await steering.revoke(revoked)
        caller = steering.caller
        destination = options.get("destination")
        if isinstance(destination, str):
            raise ImproperlyConfigured(f"destination is a list of node names, not {destination!r}")
        pattern, matcher = options.get("pattern"), options.get("matcher")
        made = Command(
            method=command,
            arguments=arguments or {},
            destination=None if destination is None else tuple(destination),
            pattern=pattern if matcher else None,
            matcher=matcher if pattern else None,
        )
        if not options.get("reply"):
            await caller.send(made)
            return None
        limit = options.get("limit")
        if limit is None and made.destination:
            limit = len(made.destination)
        callback = options.get("callback")
        seconds = options.get("timeout")

        def heard(answer: Answer) -> None:
            if callback is not None:
                callback({answer.node: answer.value})

        return as_replies(
            await caller.ask(made, CALL_SECONDS if seconds is None else seconds, limit=limit, heard=heard)
        )

    def broadcast(
        self, command: str, arguments: Mapping[str, Any] | None = None, **options: Unpack[BroadcastOptions]
    ) -> Replies | None:
        return self._now(self.abroadcast(command, arguments, **options), "abroadcast")

    async def aping(self, destination: Iterable[str] | None = None, timeout: float = 1.0, **options: Any) -> Replies:
        """Who is there: `[{node: {"ok": "pong"}}, ...]`."""
        asked: BroadcastOptions = {"destination": destination, "timeout": timeout, **options, "reply": True}  # type: ignore[typeddict-item] # mypy: unpacking Any
        return await self.abroadcast("ping", **asked) or []

    def ping(self, destination: Iterable[str] | None = None, timeout: float = 1.0, **options: Any) -> Replies:
        return self._now(self.aping(destination, timeout, **options), "aping")
