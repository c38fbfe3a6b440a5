"""What is known of a call now: one look at the store for each question, none once the task has ended."""

from datetime import datetime
from typing import Any, Self

from leveret.client.client import Client
from leveret.client.current import default_app
from leveret.errors import RemoteError, TaskRevokedError
from leveret.logic.results import ResultMeta, read_meta, rebuild
from leveret.model import state as states
from leveret.model.settlement import Record
from leveret.ports.clock import Clock


class ResultView:
    """The reading half of `AsyncResult`; `_meta` is set once, when the end has been seen."""

    __slots__ = (
        "__weakref__",
        "_attempt",
        "_client",
        "_ignored",
        "_last",
        "_meta",
        "_parent",
        "_queue",
        "id",
        "task_name",
    )

    def __init__(
        self,
        id: str,
        backend: Any = None,
        task_name: str | None = None,
        app: Any = None,
        parent: Any = None,
    ) -> None:
        """Take Celery's arguments; `backend` is the app's own."""
        self.id = id
        self.task_name = task_name
        self._client: Client = (default_app() if app is None else app).client
        self._parent = parent
        self._ignored = False
        self._queue: str | None = None
        self._meta: ResultMeta | None = None
        self._attempt = 0

    @classmethod
    def sent(cls, client: Client, id: str, task_name: str, queue: str, ignored: bool) -> Self:
        """The handle on a message this client has just published."""
        self = cls.__new__(cls)
        self.id = id
        self.task_name = task_name
        self._client = client
        self._parent = None
        self._ignored = ignored
        self._queue = queue
        self._meta = None
        self._attempt = 0
        return self

    def _look(self) -> ResultMeta:
        if self._meta is None:
            return self.keep(self._client.backend().get([self.id])[0])
        return self._meta

    async def _alook(self) -> ResultMeta:
        if self._meta is None:
            return self.keep((await self._client.backend_of_loop().get([self.id]))[0])
        return self._meta

    def keep(self, record: Record | None) -> ResultMeta:
        """Take what the store answered."""
        if record is None or record.tombstone:
            self._last = states.PENDING
            return ResultMeta(task_id=self.id, status=states.PENDING)
        self._attempt = record.attempt
        meta = read_meta(record, self._client.codec)
        self._last = meta.status
        # A task that said update_state(state="FAILURE") and raised Ignore has ended, as with Celery, though the store
        # would still take a real outcome.
        if record.terminal or record.state in states.READY_STATES:
            self._meta = meta
        return meta

    def ready_known(self) -> bool:
        """Whether the end has been seen; asks nobody."""
        return self._meta is not None

    @property
    def task_id(self) -> str:
        return self.id

    @property
    def state(self) -> str:
        return self._look().status

    @property
    def status(self) -> str:
        return self._look().status

    @property
    def result(self) -> Any:
        """The value, the exception (as an instance), or what `update_state` last said; None while pending."""
        return shown(self._look())

    @property
    def info(self) -> Any:
        return shown(self._look())

    @property
    def traceback(self) -> str | None:
        return self._look().traceback

    @property
    def date_done(self) -> datetime | None:
        return self._look().date_done

    @property
    def retries(self) -> int | None:
        """How often it was tried again. Celery answers this only with `result_extended`; the store always knows it."""
        meta = self._look()
        known = meta.status != states.PENDING
        return self._attempt if meta.retries is None and known else meta.retries

    @property
    def name(self) -> str | None:
        return self.task_name or self._look().name

    @property
    def args(self) -> Any:
        return self._look().args

    @property
    def kwargs(self) -> Any:
        return self._look().kwargs

    @property
    def worker(self) -> str | None:
        return self._look().worker

    @property
    def queue(self) -> str | None:
        return self._queue or self._look().queue

    @property
    def ignored(self) -> bool:
        return self._ignored

    @property
    def parent(self) -> Any:
        """The step before this one in a chain, or the task that sent this one."""
        if self._parent is None:
            sender = self._look().parent_id
            return None if sender is None else self._relative(sender)
        return self._parent

    def follow(self, parent: Any) -> None:
        """Stand behind `parent` in a chain."""
        self._parent = parent

    @property
    def known_parent(self) -> Any:
        """The result it stands behind, as far as this handle knows; asks nobody."""
        return self._parent

    @property
    def queue_known(self) -> str | None:
        """Where it was sent, as far as this handle knows; asks nobody."""
        return self._queue

    def look_now(self) -> None:
        """Ask the store, where there is one, unless it has been asked."""
        if not self.looked and self._client.parts.backend is not None:
            self._look()

    @property
    def looked(self) -> bool:
        return hasattr(self, "_last")

    def known_state(self) -> str:
        """What the store said last; asks nobody."""
        return self._last if self.looked else states.PENDING

    @property
    def known_attempt(self) -> int:
        return self._attempt

    def known_meta(self) -> ResultMeta | None:
        """Its end, if it has been seen; asks nobody."""
        return self._meta

    @property
    def client(self) -> Client:
        return self._client

    @property
    def clock(self) -> Clock:
        return self._client.clock

    def _relative(self, id: str) -> Self:
        return self.sent(self._client, id, "", "", ignored=False)

    def written_children(self) -> tuple[Any, ...] | None:
        """The calls the task made itself and what followed it, each as Celery's tuple; None before its end."""
        meta = self._look()
        return None if self._meta is None else tuple(meta.children or ())

    def ready(self) -> bool:
        return self._look().status in states.READY_STATES

    def successful(self) -> bool:
        return self._look().status == states.SUCCESS

    def failed(self) -> bool:
        return self._look().status == states.FAILURE

    def exists(self) -> bool:
        """Whether the store knows anything of the task; a task that has not begun is unknown to it."""
        return self._meta is not None or self._client.backend().get([self.id])[0] is not None

    async def asuccessful(self) -> bool:
        return (await self._alook()).status == states.SUCCESS

    async def astate(self) -> str:
        return (await self._alook()).status

    async def ainfo(self) -> Any:
        return shown(await self._alook())

    async def aready(self) -> bool:
        return (await self._alook()).status in states.READY_STATES


def shown(meta: ResultMeta) -> Any:
    """What a document holds: the value, the exception as an instance, or `update_state`'s meta."""
    if meta.error is not None:
        return rebuild(meta.error)
    if meta.status == states.REVOKED:
        return TaskRevokedError(str(meta.result or "revoked"))
    if meta.status == states.FAILURE:
        return RemoteError("Exception", "builtins", str(meta.result))
    return meta.result
