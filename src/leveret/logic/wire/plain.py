"""Plain calls as postings: nothing but a task's name, an id and arguments."""

from collections.abc import Sequence
from typing import Any

from leveret.errors import EncodeError, MessageTooLarge
from leveret.logic.serializers import JSON, Serializer, dumps_call, dumps_calls
from leveret.model.delivery import Encoded, Posting

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
"""Of a call: by position, by name."""
_NO_EMBED: dict[str, Any] = {}


class PlainPostings:
    """Makes the postings of one task's plain calls; `Codec.plain` answers it."""

    __slots__ = ("_dumps", "_encoding", "_ignored", "_is_ours", "_most", "_queue", "_task", "_type")

    def __init__(self, place: tuple[str, str], json: Serializer, most: int, ignored: bool) -> None:
        self._task, self._queue = place
        self._dumps = dumps_call if json is JSON else lambda args, kwargs: json.dumps((args, kwargs, _NO_EMBED))
        self._is_ours = json is JSON
        self._type, self._encoding = json.content_type, json.content_encoding
        self._most, self._ignored = most, ignored

    def post(self, id: str, args: tuple[Any, ...], kwargs: dict[str, Any], reply_to: str | None) -> Posting:
        """Equal to what `Codec.post` makes of such a message."""
        task = self._task
        try:
            body = self._dumps(args, kwargs)
        except EncodeError as error:
            raise at_argument(error, task) from error
        if len(body) > self._most:
            raise too_large(task, len(body), self._most)
        headers: dict[str, Any] = {"task": task, "id": id}
        if self._ignored:
            headers["ignore_result"] = True
        return Posting(id=id, queue=self._queue, encoded=Encoded(headers, body, self._type, self._encoding, reply_to))

    def posts(self, ids: Sequence[str], calls: Sequence[Arguments], reply_to: str | None) -> list[Posting]:
        """`post` of each, in half of the time."""
        try:
            bodies = dumps_calls(calls) if self._is_ours else []
        except EncodeError:
            bodies = []  # which one, and where in it, is said below
        if len(bodies) != len(calls) or max(map(len, bodies), default=0) > self._most:
            return [self.post(name, *call, reply_to) for name, call in zip(ids, calls, strict=True)]
        task, queue, kind, encoding = self._task, self._queue, self._type, self._encoding
        more = {"ignore_result": True} if self._ignored else {}
        return [
            Posting(
                id=name,
                queue=queue,
                encoded=Encoded({"task": task, "id": name, **more}, body, kind, encoding, reply_to),
            )
            for name, body in zip(ids, bodies, strict=True)
        ]


def at_argument(error: EncodeError, task: str) -> EncodeError:
    """Name the place as the caller wrote it: `args[1].user.name`."""
    for prefix, name in (("[0]", "args"), ("[1]", "kwargs"), ("[2].", "")):
        if error.path.startswith(prefix):
            path = name + error.path[len(prefix) :]
            return EncodeError(f"{task}: {path}: {error}", path)
    return EncodeError(f"{task}: {error}", error.path)


def too_large(task: str, size: int, limit: int) -> MessageTooLarge:
    return MessageTooLarge(
        f"{task}: the message has {size} bytes, at most {limit} are allowed (message_max_bytes); "
        f"send a reference to the data instead",
        "args",
    )
