"""What is known of a cluster from its events, as Celery's `State`: `state.event(event)` takes in one after another."""

import threading
from bisect import insort
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar
from weakref import WeakSet, ref

from leveret.client.events import rows

Key = TypeVar("Key")
Value = TypeVar("Value")
Event = dict[str, Any]

HEAP_MULTIPLIER = 4
"""Events of one task that are kept in the order of time."""


class Bounded(OrderedDict[Key, Value]):
    """Forgets what was used least recently."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __setitem__(self, key: Key, value: Value) -> None:
        super().__setitem__(key, value)
        while len(self) > self.limit:
            self.popitem(last=False)

    def __getitem__(self, key: Key) -> Value:
        value = super().__getitem__(key)
        self.move_to_end(key)
        return value


class Index(defaultdict[str, "WeakSet[rows.Task]"]):
    """Tasks by a name; called, it answers them in the order of time."""

    def __init__(self, ordered: Callable[..., Iterator[tuple[str, rows.Task]]]) -> None:
        super().__init__(WeakSet)
        self._ordered = ordered

    def __call__(self, name: str, limit: int | None = None, reverse: bool = True) -> Iterator[tuple[str, rows.Task]]:
        return self._ordered(name, limit, reverse)


class State:
    """`_mutex` guards everything: events are taken in on one thread while another looks."""

    Worker = rows.Worker
    Task = rows.Task
    heap_multiplier = HEAP_MULTIPLIER

    def __init__(
        self,
        callback: Callable[["State", Event], Any] | None = None,
        workers: Mapping[str, rows.Worker] | None = None,
        tasks: Mapping[str, rows.Task] | None = None,
        taskheap: list[Any] | None = None,
        max_workers_in_memory: int = 5000,
        max_tasks_in_memory: int = 10000,
        on_node_join: Callable[[rows.Worker], Any] | None = None,
        on_node_leave: Callable[[rows.Worker], Any] | None = None,
    ) -> None:
        """Celery's signature."""
        self.event_callback = callback
        self.workers: Bounded[str, rows.Worker] = Bounded(max_workers_in_memory)
        self.workers.update(workers or {})
        self.tasks: Bounded[str, rows.Task] = Bounded(max_tasks_in_memory)
        self.tasks.update(tasks or {})
        self.max_workers_in_memory, self.max_tasks_in_memory = max_workers_in_memory, max_tasks_in_memory
        self.on_node_join, self.on_node_leave = on_node_join, on_node_leave
        self.handlers: dict[str, Callable[[str, Event], Any]] = {}
        """Of groups of one's own, by the word before the dash."""
        self.event_count = self.task_count = 0
        self._mutex = threading.Lock()
        self._taskheap: list[tuple[int, float, str, Any]] = taskheap or []
        self._seen_types: set[str] = set()
        self._orphans: Bounded[str, WeakSet[rows.Task]] = Bounded(max_tasks_in_memory)
        self.tasks_by_type = Index(self._tasks_by_type)
        self.tasks_by_worker = Index(self._tasks_by_worker)
        self.rebuild_taskheap()

    # Taking in

    def event(self, event: Event) -> Any:
        """Take in one event; answers what it was about, and the word behind the dash."""
        with self._mutex:
            return self._event(event)

    def _event(self, event: Event) -> Any:
        self.event_count += 1
        if self.event_callback is not None:
            self.event_callback(self, event)
        group, _, subject = event["type"].partition("-")
        handler = self.handlers.get(group)
        if handler is not None:
            return handler(subject, event), subject
        if group == "worker":
            return self._worker_event(subject, event)
        return self._task_event(subject, event) if group == "task" else None

    def _worker_event(self, subject: str, event: Event) -> Any:
        try:
            hostname, timestamp, received = event["hostname"], event["timestamp"], event["local_received"]
        except KeyError:
            return None
        offline = subject == "offline"
        worker: rows.Worker | None = OrderedDict.get(self.workers, hostname)
        created = worker is None and not offline
        if worker is None:
            worker = self.Worker(hostname)
            if not offline:
                self.workers[hostname] = worker
        worker.event(subject, timestamp, received, event)
        if self.on_node_join is not None and (created or subject == "online"):
            self.on_node_join(worker)
        if offline and self.on_node_leave is not None:
            # As Celery: where nobody hears of its leaving, it stays to be seen as offline.
            self.on_node_leave(worker)
            self.workers.pop(hostname, None)
        return (worker, created), subject

    def _task_event(self, subject: str, event: Event) -> Any:
        uuid, hostname, clock = event["uuid"], event["hostname"], event["clock"]
        timestamp, received = event["timestamp"], event["local_received"]
        task, created = self.get_or_create_task(uuid)
        if subject == "sent":
            task.client, origin = hostname, hostname
        else:
            worker, _ = self.get_or_create_worker(hostname)
            task.worker = worker
            if received:
                worker.event(None, received, timestamp)
            origin = worker.id
        self._remember((clock, timestamp, origin, ref(task)))
        if subject == "received":
            self.task_count += 1
        task.event(subject, timestamp, received, event)
        if task.name is not None:
            self._seen_types.add(task.name)
            if created:
                self.tasks_by_type[task.name].add(task)
                self.tasks_by_worker[hostname].add(task)
        self._adopt(task)
        return (task, created), subject

    def _remember(self, entry: tuple[int, float, str, Any]) -> None:
        heap = self._taskheap
        if len(heap) + 1 > self.max_tasks_in_memory * self.heap_multiplier:
            del heap[0]
        if heap and entry[:3] > heap[-1][:3]:
            heap.append(entry)
        else:
            insort(heap, entry, key=lambda one: one[:3])

    def _adopt(self, task: rows.Task) -> None:
        """Join parents and children, whichever is heard of first."""
        if task.parent_id:
            # Looked up by key, which keeps a parent in memory as long as its children come.
            family = (
                self.tasks[task.parent_id].children if task.parent_id in self.tasks else self._waiting(task.parent_id)
            )
            family.add(task)
        children = self._orphans.pop(task.uuid, None)
        if children is not None:
            task.children.update(children)

    def _waiting(self, parent_id: str) -> "WeakSet[rows.Task]":
        if parent_id not in self._orphans:
            self._orphans[parent_id] = WeakSet()
        return self._orphans[parent_id]

    def get_or_create_worker(self, hostname: str, **kwargs: Any) -> tuple[rows.Worker, bool]:
        worker: rows.Worker | None = OrderedDict.get(self.workers, hostname)
        if worker is not None:
            worker.update(kwargs)
            return worker, False
        worker = self.workers[hostname] = self.Worker(hostname, **kwargs)
        return worker, True

    def get_or_create_task(self, uuid: str) -> tuple[rows.Task, bool]:
        task = OrderedDict.get(self.tasks, uuid)
        if task is not None:
            return task, False
        task = self.tasks[uuid] = self.Task(uuid, cluster_state=self)
        return task, True

    # Looking

    def freeze_while(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call `fun` while nothing is taken in."""
        clear_after = kwargs.pop("clear_after", False)
        with self._mutex:
            try:
                return fun(*args, **kwargs)
            finally:
                if clear_after:
                    self._clear()

    def itertasks(self, limit: int | None = None) -> Iterator[tuple[str, rows.Task]]:
        return islice(iter(self.tasks.items()), 0, limit)

    def tasks_by_time(self, limit: int | None = None, reverse: bool = True) -> Iterator[tuple[str, rows.Task]]:
        """The newest first."""
        heap = list(self._taskheap)
        seen: set[str] = set()
        for _, _, _, reference in islice(reversed(heap) if reverse else iter(heap), 0, limit):
            task = reference()
            if task is not None and task.uuid not in seen:
                seen.add(task.uuid)
                yield task.uuid, task

    tasks_by_timestamp = tasks_by_time

    def _tasks_by_type(self, name: str, limit: int | None, reverse: bool) -> Iterator[tuple[str, rows.Task]]:
        return islice((pair for pair in self.tasks_by_time(reverse=reverse) if pair[1].name == name), 0, limit)

    def _tasks_by_worker(self, hostname: str, limit: int | None, reverse: bool) -> Iterator[tuple[str, rows.Task]]:
        return islice(
            (
                pair
                for pair in self.tasks_by_time(reverse=reverse)
                if pair[1].worker is not None and pair[1].worker.hostname == hostname
            ),
            0,
            limit,
        )

    def task_types(self) -> list[str]:
        return sorted(self._seen_types)

    def alive_workers(self) -> Iterator[rows.Worker]:
        return (worker for worker in self.workers.values() if worker.alive)

    # Forgetting

    def clear_tasks(self, ready: bool = True) -> None:
        with self._mutex:
            self._clear_tasks(ready)

    def clear(self, ready: bool = True) -> None:
        with self._mutex:
            self._clear(ready)

    def _clear(self, ready: bool = True) -> None:
        self.workers.clear()
        self._clear_tasks(ready)
        self.event_count = self.task_count = 0

    def _clear_tasks(self, ready: bool = True) -> None:
        """`ready`: only those that have ended."""
        kept = {uuid: task for uuid, task in self.tasks.items() if not task.ready} if ready else {}
        self.tasks.clear()
        self.tasks.update(kept)
        self._taskheap.clear()

    def rebuild_taskheap(self) -> None:
        self._taskheap[:] = sorted(
            ((task.clock, task.timestamp or 0.0, str(task.origin), ref(task)) for task in self.tasks.values()),
            key=lambda one: one[:3],
        )

    def __repr__(self) -> str:
        return f"<State: events={self.event_count} tasks={self.task_count}>"
