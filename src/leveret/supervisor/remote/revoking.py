"""Revoking on a node: the store first, then every process, so that nothing in between begins.

The store is what counts; what processes are told is only for what they have claimed already.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from leveret.errors import BrokerError
from leveret.logic.remote import marks
from leveret.logic.remote.signums import signal_number
from leveret.supervisor.remote.crew import Crew

log = logging.getLogger("leveret.supervisor")

MOST_TOLD = 10_000
"""Marks that processes are reminded of; what was claimed before a mark was written is long under way by then."""
MOST_SHOWN = 50_000
"""As many as a Celery worker remembers."""

Handler = Callable[..., Awaitable[Any]]
Reply = dict[str, str]

Revoke = Callable[[Sequence[str]], Awaitable[None]]
"""Writes marks, and the outcome of tasks that have not begun; wiring has the store."""
All = Callable[[int], Awaitable[tuple[str, ...]]]


class Revoking:
    def __init__(self, crew: Crew, revoke: Revoke, all_of: All | None) -> None:
        """Without `all_of` there is no store: what is revoked lives in this node."""
        self._crew, self._revoke, self._all = crew, revoke, all_of

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "revoke": self._by_id,
            "terminate": self._terminate,
            "revoke_by_stamped_headers": self._by_stamps,
            "revoke_group": self._by_group,
        }

    async def ids(self) -> list[str]:
        """Of revoked tasks."""
        known = self._crew.steering.revoked if self._all is None else await self._all(MOST_SHOWN)
        return list(marks.ids_among(known))

    async def _by_id(self, task_id: Any = (), terminate: bool = False, signal: str | None = None, **_: Any) -> Reply:
        told = marks.of_command("revoke", {"task_id": task_id})
        ended = await self._end(told, terminate=bool(terminate), signal=signal)
        if not terminate:
            return {"ok": f"tasks {set(told) or '{}'} flagged as revoked"}
        return {"ok": f"terminate: {', '.join(ended) or 'tasks unknown'}"}

    async def _terminate(self, signal: str | None = None, task_id: Any = (), **_: Any) -> Reply:
        return await self._by_id(task_id, terminate=True, signal=signal)

    async def _by_group(
        self, group_id: Any = (), terminate: bool = False, signal: str | None = None, **_: Any
    ) -> Reply:
        told = marks.of_command("revoke_group", {"group_id": group_id})
        ended = await self._end(told, terminate=bool(terminate), signal=signal)
        more = f", terminated: {', '.join(ended)}" if ended else ""
        return {"ok": f"groups {group_id} flagged as revoked{more}"}

    async def _by_stamps(
        self, headers: Any = (), terminate: bool = False, signal: str | None = None, **_: Any
    ) -> Reply:
        told = marks.of_command("revoke_by_stamped_headers", {"headers": headers})
        ended = await self._end(told, terminate=bool(terminate), signal=signal)
        if not terminate:
            return {"ok": f"headers {headers} flagged as revoked, but not terminated"}
        if not ended:
            return {"ok": f"headers {headers} were not terminated"}
        return {"ok": f"headers {headers} revoked"}

    async def _end(self, told: tuple[str, ...], *, terminate: bool, signal: str | None) -> list[str]:
        """Answers the ids of what was running and is stopped."""
        # Before anything is written: a signal nobody knows is a slip.
        signum = signal_number(signal or "SIGTERM")
        try:
            await self._revoke(told)
        except BrokerError as error:
            # Whoever asked has written it, if he is one of ours; this node's processes hear of it all the same.
            log.warning("the store did not take what was revoked: %s", error)
        known = self._crew.steering.revoked
        self._crew.steer(revoked=tuple(dict.fromkeys((*known, *told)))[-MOST_TOLD:])
        if not terminate:
            return []
        asked = {"marks": list(told), "signal": signum}
        answers = await self._crew.ask_all("terminate", asked)
        return [name for _, names in answers for name in names]
