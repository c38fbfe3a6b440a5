"""The half of `app.control` that steers tasks."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from leveret.client.control.terms import Replies, Sender, names_of
from leveret.logic.remote.signums import signal_number


class OfTasks(Sender):
    async def arevoke(
        self,
        task_id: str | Collection[str],
        destination: Iterable[str] | None = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
        **options: Any,
    ) -> Replies | None:
        """Have tasks not run: it is written into the store, so no restart forgets it. With `terminate` what runs is
        ended too."""
        ids = names_of(task_id)
        arguments = {"task_id": ids, "terminate": terminate, "signal": _checked(signal)}
        return await self.abroadcast("revoke", arguments, destination=destination, **options)

    def revoke(
        self,
        task_id: str | Collection[str],
        destination: Iterable[str] | None = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
        **options: Any,
    ) -> Replies | None:
        return self._now(self.arevoke(task_id, destination, terminate, signal, **options), "arevoke")

    async def aterminate(
        self, task_id: str | Collection[str], destination: Iterable[str] | None = None, signal: str = "SIGTERM",
        **options: Any,
    ) -> Replies | None:  # fmt: skip
        return await self.arevoke(task_id, destination, True, signal, **options)

    def terminate(
        self, task_id: str | Collection[str], destination: Iterable[str] | None = None, signal: str = "SIGTERM",
        **options: Any,
    ) -> Replies | None:  # fmt: skip
        return self.revoke(task_id, destination, True, signal, **options)

    async def arevoke_group(
        self, group_id: str | Collection[str], terminate: bool = False, signal: str = "SIGTERM", **options: Any
    ) -> Replies | None:
        """Every task of a group, those that are not sent yet included."""
        groups = names_of(group_id)
        arguments = {"group_id": groups, "terminate": terminate, "signal": _checked(signal)}
        return await self.abroadcast("revoke_group", arguments, **options)

    def revoke_group(
        self, group_id: str | Collection[str], terminate: bool = False, signal: str = "SIGTERM", **options: Any
    ) -> Replies | None:
        return self._now(self.arevoke_group(group_id, terminate, signal, **options), "arevoke_group")

    async def arevoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any],
        destination: Iterable[str] | None = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
        **options: Any,
    ) -> Replies | None:
        """Every task with one of these stamps."""
        arguments = {"headers": dict(headers), "terminate": terminate, "signal": _checked(signal)}
        return await self.abroadcast("revoke_by_stamped_headers", arguments, destination=destination, **options)

    def revoke_by_stamped_headers(
        self,
        headers: Mapping[str, Any],
        destination: Iterable[str] | None = None,
        terminate: bool = False,
        signal: str = "SIGTERM",
        **options: Any,
    ) -> Replies | None:
        work = self.arevoke_by_stamped_headers(headers, destination, terminate, signal, **options)
        return self._now(work, "arevoke_by_stamped_headers")

    async def arate_limit(self, task_name: str, rate_limit: int | str, **options: Any) -> Replies | None:
        return await self.abroadcast("rate_limit", {"task_name": task_name, "rate_limit": rate_limit}, **options)

    def rate_limit(self, task_name: str, rate_limit: int | str, **options: Any) -> Replies | None:
        """Noted by nodes and shown by `registered`; kept by a later version."""
        return self._now(self.arate_limit(task_name, rate_limit, **options), "arate_limit")

    async def atime_limit(
        self, task_name: str, soft: float | None = None, hard: float | None = None, **options: Any
    ) -> Replies | None:
        return await self.abroadcast("time_limit", {"task_name": task_name, "soft": soft, "hard": hard}, **options)

    def time_limit(
        self, task_name: str, soft: float | None = None, hard: float | None = None, **options: Any
    ) -> Replies | None:
        """Seconds for a task's runs from now on; None: none."""
        return self._now(self.atime_limit(task_name, soft, hard, **options), "atime_limit")


def _checked(signal: str) -> str:
    """A slip is told here: who terminates without waiting for a reply would never hear of it."""
    signal_number(signal or "SIGTERM")
    return signal
