"""What a monitor knows of one worker and of one task, from the events it has heard (`celery/events/state.py`)."""

from bisect import insort
from collections.abc import Iterable, Mapping
from time import time
from typing import Any
from weakref import WeakSet

from leveret.model import state as states

HEARTBEAT_EXPIRE_WINDOW = 200
"""Percent of its frequency after which a worker that was silent counts as offline."""
HEARTBEATS_KEPT = 4

TASK_EVENT_TO_STATE = {
    "sent": states.PENDING,
    "received": states.RECEIVED,
    "started": states.STARTED,
    "failed": states.FAILURE,
    "retried": states.RETRY,
    "succeeded": states.SUCCESS,
    "revoked": states.REVOKED,
    "rejected": states.REJECTED,
}

_RANK = {name: rank for rank, name in enumerate(states.PRECEDENCE)}


def _rank(state: str) -> int:
    return _RANK.get(state, _RANK[None])


def heartbeat_expires(timestamp: float, freq: float = 60, expire_window: float = HEARTBEAT_EXPIRE_WINDOW) -> float:
    """When a worker that beat then counts as offline."""
    return timestamp + freq * (expire_window / 100)


class Worker:
    """Fields of its events are attributes."""

    heartbeat_max = HEARTBEATS_KEPT
    expire_window = HEARTBEAT_EXPIRE_WINDOW
    _fields = (
        *("hostname", "pid", "freq", "heartbeats", "clock", "active", "processed"),
        *("loadavg", "sw_ident", "sw_ver", "sw_sys"),
    )

    def __init__(self, hostname: str | None = None, pid: int | None = None, freq: float = 60, **fields: Any) -> None:
        self.hostname, self.pid, self.freq = hostname, pid, freq
        self.heartbeats: list[float] = fields.pop("heartbeats", None) or []
        self.clock: int = fields.pop("clock", 0) or 0
        self.active: Any = None
        self.processed: Any = None
        self.loadavg: Any = None
        self.sw_ident = self.sw_ver = self.sw_sys = None
        self.update(fields)

    def event(
        self,
        type_: str | None,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in an event of it."""
        self.update(fields or {})
        if type_ == "offline":
            self.heartbeats.clear()
        elif local_received and timestamp:
            if len(self.heartbeats) >= self.heartbeat_max:
                del self.heartbeats[0]
            insort(self.heartbeats, local_received)

    def update(self, f: Mapping[str, Any], **kw: Any) -> None:
        self.__dict__.update(f, **kw)

    @property
    def heartbeat_expires(self) -> float:
        return heartbeat_expires(self.heartbeats[-1], float(self.freq), self.expire_window)

    @property
    def alive(self) -> bool:
        return bool(self.heartbeats) and time() < self.heartbeat_expires

    @property
    def status_string(self) -> str:
        return "ONLINE" if self.alive else "OFFLINE"

    @property
    def id(self) -> str:
        return f"{self.hostname}.{self.pid}"

    def __eq__(self, other: object) -> bool:
        return self.hostname == other.hostname if isinstance(other, Worker) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.hostname)

    def __repr__(self) -> str:
        return f"<Worker: {self.hostname} ({self.status_string} clock:{self.clock})"


class Task:
    """Fields of its events are attributes; what no event said is None."""

    name: Any
    worker: Any
    timestamp: Any
    parent_id: Any
    name = received = sent = started = succeeded = failed = retried = revoked = rejected = args = kwargs = eta = None
    expires = retries = worker = result = exception = timestamp = runtime = traceback = exchange = routing_key = None
    root_id = parent_id = client = None
    state: str = states.PENDING
    clock = 0

    _fields = (
        *("uuid", "name", "state", "received", "sent", "started", "rejected", "succeeded", "failed", "retried"),
        *("revoked", "args", "kwargs", "eta", "expires", "retries", "worker", "result", "exception", "timestamp"),
        *("runtime", "traceback", "exchange", "routing_key", "clock", "client", "root", "root_id", "parent"),
        *("parent_id", "children"),
    )
    _info_fields = (
        *("args", "kwargs", "retries", "result", "eta", "runtime", "expires", "exception", "exchange"),
        *("routing_key", "root_id", "parent_id"),
    )
    merge_rules: Mapping[str, tuple[str, ...]] = {
        states.RECEIVED: ("name", "args", "kwargs", "parent_id", "root_id", "retries", "eta", "expires"),
    }
    """Of an event that comes late: what is taken from it all the same."""

    def __init__(self, uuid: str, cluster_state: Any = None, children: Iterable[str] = (), **kwargs: Any) -> None:
        self.uuid, self.cluster_state = uuid, cluster_state
        known = cluster_state.tasks if cluster_state is not None else {}
        self.children: WeakSet[Task] = WeakSet(known[child] for child in children if child in known)
        self.__dict__.update(kwargs)

    def event(
        self,
        type_: str,
        timestamp: float | None = None,
        local_received: float | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Take in an event of it. One that comes late never takes the state back."""
        taken = dict(fields or {})
        state = TASK_EVENT_TO_STATE.get(type_)
        if state is None:
            state = type_.upper()
        else:
            setattr(self, type_, timestamp)
        if states.RETRY not in (state, self.state) and _rank(state) > _rank(self.state):
            keep = self.merge_rules.get(state)
            if keep is not None:
                taken = {name: value for name, value in taken.items() if name in keep}
        else:
            taken.update(state=state, timestamp=timestamp)
        self.__dict__.update(taken)

    def info(self, fields: Iterable[str] | None = None, extra: Iterable[str] | None = None) -> dict[str, Any]:
        """What a screen shows of it."""
        names = [*(self._info_fields if fields is None else fields), *(extra or ())]
        return {name: value for name in names if (value := getattr(self, name, None)) is not None}

    def as_dict(self) -> dict[str, Any]:
        shown = {"children": [child.id for child in self.children], "root": self.root_id, "parent": self.parent_id}
        return {name: shown[name] if name in shown else getattr(self, name) for name in self._fields}

    @property
    def id(self) -> str:
        return self.uuid

    @property
    def origin(self) -> Any:
        return self.client if self.worker is None else self.worker.id

    @property
    def ready(self) -> bool:
        return self.state in states.READY_STATES

    @property
    def parent(self) -> "Task | None":
        return self._relative(self.parent_id)

    @property
    def root(self) -> "Task | None":
        return self._relative(self.root_id)

    def _relative(self, uuid: str | None) -> "Task | None":
        found: Task | None = self.cluster_state.tasks.get(uuid) if uuid and self.cluster_state is not None else None
        return found

    def __eq__(self, other: object) -> bool:
        return self.uuid == other.uuid if isinstance(other, Task) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __repr__(self) -> str:
        return f"<Task: {self.name}({self.uuid}) {self.state} clock:{self.clock}>"
