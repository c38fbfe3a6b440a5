"""How the calls of one task are sent under the settings as they are.

Most calls say nothing but their arguments, and it is their speed that is asked about. The long way (`Client.compose`,
`Codec.post`, `Client.submit`, `sending.handle`) is 25 calls of Python: 6 us, but 20 in a process that has just waited
for the disk, whose caches are cold (docs/adr/0011). The short way is six. Many calls in one publish have a short way
too (`Plain`).
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from leveret.client.client import NO_OPTIONS, Client
from leveret.client.current import App
from leveret.client.events.publishing import is_heard
from leveret.client.limiting.uniqueness import Call, marked
from leveret.client.loops import running_loop
from leveret.client.result import AsyncResult
from leveret.client.sending import warn_once
from leveret.client.signature import Signature
from leveret.errors import PublishUnknown
from leveret.logic.routing import Route
from leveret.logic.wire.plain import Arguments
from leveret.model.delivery import Posting
from leveret.model.request import CURRENT
from leveret.model.task import TaskDefinition


class Sender:
    """Good until `conf` makes other settings, or the task is changed."""

    __slots__ = (
        *("client", "conf", "definition", "plain", "settings"),
        *("_name", "_queue", "_ignored", "_limit"),
        *("_new_id", "_post", "_posts", "_publish", "_reply_address", "_monotonic"),
    )

    def __init__(self, app: App, name: str) -> None:
        self.conf, self.settings = app.conf, app.conf.settings
        client, definition = self.client, self.definition = app.to_send(name)
        parts, route = client.parts, None if definition is None else _plain_route(client, definition)
        self.plain = route is not None
        """Whether a call without options, made outside of a task, has nothing but its arguments."""
        self._name, self._queue = name, "" if route is None else route.queue
        self._ignored = client.ignored(NO_OPTIONS, definition)
        self._limit = client.options.publish_timeout
        self._new_id = parts.clock.new_id
        plain = parts.codec.plain(self._name, self._queue, ignored=self._ignored)
        self._post, self._posts = plain.post, plain.posts
        self._publish, self._reply_address = parts.broker.publish, parts.reply_address
        self._monotonic = parts.clock.monotonic

    def send_plain(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AsyncResult[Any]:
        """Return when the broker has it."""
        client, name, queue, ignored = self.client, self._name, self._queue, self._ignored
        task_id = self._new_id()
        given = kwargs if type(kwargs) is dict else dict(kwargs)
        posting = self._post(task_id, args, given, None if ignored else self._reply_address())
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            warn_once(client)
        started = self._monotonic()
        try:
            self._publish((posting,), timeout=self._limit)
        except PublishUnknown as unknown:
            client.publish_again((posting,), unknown, self._limit - (self._monotonic() - started))
        return AsyncResult.sent(client, task_id, name, queue, ignored)

    def compose(self, calls: Sequence[Arguments]) -> tuple[list[Posting], list[AsyncResult[Any]]]:
        """The postings of plain calls, and the results they will have."""
        client, name, queue, ignored = self.client, self._name, self._queue, self._ignored
        reply_to = None if ignored else self._reply_address()
        ids, sent = client.clock.new_ids(len(calls)), AsyncResult.sent
        return self._posts(ids, calls, reply_to), [sent(client, one, name, queue, ignored) for one in ids]

    async def asend_plain(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> AsyncResult[Any]:
        """As `send_plain`, on the running loop's connection."""
        client, name, queue, ignored = self.client, self._name, self._queue, self._ignored
        task_id = self._new_id()
        given = kwargs if type(kwargs) is dict else dict(kwargs)
        posting = self._post(task_id, args, given, None if ignored else self._reply_address())
        await client.apublish((posting,))
        return AsyncResult.sent(client, task_id, name, queue, ignored)


def calls_of(app: App, signatures: Sequence[Signature[Any]]) -> list[Call]:
    """The messages of signatures, unique tasks' under their keys."""
    settings, client, tasks = app.conf.settings, app.client, app.tasks
    found = []
    for one in signatures:
        name = one["task"]
        task = tasks.peek(name)
        if task is None or one.get("subtask_type"):
            found.append(Call(one.message()))
        else:
            args = tuple(one["args"])
            task.check(args, one["kwargs"])
            definition = tasks.find_under(settings, name)
            found.append(marked(client.compose(name, args, one["kwargs"], one["options"], definition), definition))
    return found


class Plain:
    """Calls without options, made outside of a task, on their way in one publish."""

    def __init__(self, client: Client, postings: Sequence[Posting], results: list[AsyncResult[Any]]) -> None:
        self._client, self._postings, self._results = client, tuple(postings), results

    @classmethod
    def of(cls, app: App, signatures: Sequence[Signature[Any]]) -> "Plain | None":
        """None where one of them is more than that: then all go the long way. Raises as that does for arguments a task
        does not take."""
        if not signatures or CURRENT.get() is not None or is_heard():
            return None
        postings, results = list[Posting](), list[AsyncResult[Any]]()
        for name, run in groupby(signatures, key=_task):
            task = app.tasks.peek(name)
            if task is None or not (sender := sender_of(task)).plain:
                return None
            calls = _plain_calls(task, run)
            if calls is None:
                return None
            posted, promised = sender.compose(calls)
            postings += posted
            results += promised
        return cls(app.client, postings, results)

    def send(self, timeout: float | None) -> list[AsyncResult[Any]]:
        """Return when the broker has all of them."""
        if running_loop() is not None:
            warn_once(self._client, depth=4)
        self._client.publish(self._postings, timeout=timeout)
        return self._results

    async def asend(self, timeout: float | None) -> list[AsyncResult[Any]]:
        """As `send`, on the running loop's connection."""
        await self._client.apublish(self._postings, timeout=timeout)
        return self._results


def sender_of(task: Any) -> Sender:
    """The task's under the settings as they are; `Task.send` has this in its own frame."""
    sender: Sender | None = task._sender
    if sender is None or sender.settings is not (sender.conf.current or sender.conf.settings):
        sender = task._sender = Sender(task.app, task.name)
    return sender


_task = itemgetter("task")


def _plain_calls(task: Any, signatures: Iterable[Signature[Any]]) -> list[Arguments] | None:
    """The arguments of each, checked; None where one says more."""
    found = []
    check, counts = task.check, task._counts
    for one in signatures:
        if one["options"] or one.get("subtask_type"):
            return None
        args, kwargs = tuple(one["args"]), one["kwargs"]
        if kwargs or len(args) not in counts:
            check(args, kwargs)
        found.append((args, kwargs if type(kwargs) is dict else dict(kwargs)))
    return found


def _plain_route(client: Client, definition: TaskDefinition) -> Route | None:
    """Where the task's calls without options go; None where they are not plain."""
    if (
        not client.takes_plain_calls
        or client.sent is not None
        or client.options.always_eager
        or client.codec.shows_arguments
        or not client.parts.router.static
        or definition.serializer != "json"
        or definition.compression is not None
        or definition.expires is not None
        or definition.result_expires is not None
        or definition.unique is not None
        or definition.fair_by is not None
        or "application/json" not in client.codec.accept
    ):
        return None
    route = client.route(definition.name, (), {}, NO_OPTIONS, definition)
    return None if route.options or route.exchange or route.priority is not None else route
