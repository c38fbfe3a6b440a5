"""What a node's processes have done, those that are gone included, and what they are told to tell."""

from collections.abc import Callable, Iterable

from leveret.model.control import Tally
from leveret.model.telling.tally import TaskTally, added
from leveret.supervisor.child import Child, State
from leveret.supervisor.telling.herald import Herald


class Account:
    """Owned by the supervisor's loop. `children` answers those that live, `wanted` is how many should."""

    def __init__(
        self, task_events: bool = False, children: Callable[[], Iterable[Child]] = tuple, wanted: int = 1
    ) -> None:
        self.task_events = task_events
        """What a process that is started now is told."""
        self.herald: Herald | None = None
        """Tells of the node itself as worker events, where there are any."""
        self._children, self._wanted = children, wanted
        self._past = 0
        self._past_tasks: tuple[TaskTally, ...] = ()
        self._speaker: Child | None = None

    def send_events(self, on: bool) -> bool:
        """Have every process tell of its tasks as events, or not any more (Celery's `enable_events` and
        `disable_events`). False: it was so already."""
        if on == self.task_events:
            return False
        self.task_events = on
        for child in self._children():
            child.send_events(on)
        return True

    def appoint(self) -> None:
        """The node is complete: one of its processes sends the signals that are the node's, since only they know the
        app."""
        self._appoint(ready=True)

    def _appoint(self, *, ready: bool) -> None:
        self._speaker = next((child for child in self._children() if child.state is State.READY), None)
        if self._speaker is not None:
            self._speaker.appoint(ready=ready)

    def close(self, child: Child) -> None:
        """A process is gone: what it said last counts on, and another one speaks for the node."""
        self._past += child.tally.processed
        self._past_tasks = added((*self._past_tasks, *child.tally.tasks))
        if child is self._speaker:
            self._appoint(ready=False)

    def total(self) -> Tally:
        """Of the node, since it started."""
        alive = [child.tally for child in self._children()]
        return Tally(sum(one.active for one in alive), self._past + sum(one.processed for one in alive))

    def tasks(self) -> tuple[TaskTally, ...]:
        """Of the node, by task and outcome."""
        return added((*self._past_tasks, *(tally for child in self._children() for tally in child.tally.tasks)))

    def beats(self) -> dict[str, float]:
        """What Celery's beat was seen to send: when last, by its mark."""
        last: dict[str, float] = {}
        for child in self._children():
            for mark, at in child.tally.beats.items():
                last[mark] = max(at, last.get(mark, at))
        return last

    def processes(self) -> int:
        return len(tuple(self._children()))

    def not_ready(self) -> str:
        """Why the node takes no work, or not all it could; empty: it does."""
        children = tuple(self._children())
        ready = sum(child.state is State.READY for child in children)
        if ready >= self._wanted:
            return ""
        return f"{ready} of {self._wanted} worker processes are ready"
