"""What a supervisor and its worker processes say to each other: one JSON line each, a tagged struct."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from leveret.model.node import Testimony
from leveret.model.remote.steering import Steering
from leveret.model.telling.tally import TaskTally


class Quiet(Struct, frozen=True, tag="quiet"):
    """Finish what runs (within `grace` seconds, None: however long), give the rest back, then say Drained."""

    grace: float | None = None
    reason: str = ""


class StopNow(Struct, frozen=True, tag="stop"):
    """Give everything back and exit at once."""


class ReturnUnstarted(Struct, frozen=True, tag="return_unstarted"):
    """Give back everything that has not begun; go on."""


class Testify(Struct, frozen=True, tag="testify"):
    """What became of messages in processes that died; said before the broker hands them over again."""

    number: int
    told: tuple[Testimony, ...]


class Steer(Struct, frozen=True, tag="steer"):
    """What remote control wants of every process from now on; the whole of it each time."""

    steering: Steering


class Ask(Struct, frozen=True, tag="ask"):
    """A question or command of remote control that only the process itself can see to."""

    number: int
    method: str
    arguments: Mapping[str, Any] = {}


class SendEvents(Struct, frozen=True, tag="send_events"):
    """Tell of tasks as events, or not any more."""

    on: bool


class Appointed(Struct, frozen=True, tag="appointed"):
    """This process sends the node's own signals. `ready`: the node is complete, and nobody has said so yet."""

    ready: bool


ToChild = Quiet | StopNow | ReturnUnstarted | Testify | Steer | Ask | SendEvents | Appointed


class Ready(Struct, frozen=True, tag="ready"):
    """The process has its app, its session and its connections; it claims from now on."""

    pid: int
    session: str
    tasks: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    """Names and kinds of the commands that the app adds to remote control."""


class Drained(Struct, frozen=True, tag="drained"):
    """Everything is settled; the process exits now. `reason` tells why when nobody asked (max tasks, hard limit)."""

    reason: str = ""
    total: Mapping[str, int] = {}
    """How many tasks it took, by name."""


class Broken(Struct, frozen=True, tag="broken"):
    """The process cannot start: the app does not import, the settings are wrong. `permanent`: do not try again."""

    error: str
    permanent: bool = True


class Waiting(Struct, frozen=True, tag="waiting"):
    """What a quiet process still waits for: `name[id]` of each running task."""

    running: tuple[str, ...] = ()


class Leaving(Struct, frozen=True, tag="leaving"):
    """The process claims nothing more but still runs something: whoever replaces it may start now."""

    reason: str = ""


class Noted(Struct, frozen=True, tag="noted"):
    """The testimony of that number was heard."""

    number: int


class Told(Struct, frozen=True, tag="told"):
    """The answer to the question of that number. `error`: the repr of what was raised instead."""

    number: int
    value: Any = None
    error: str = ""


class Tally(Struct, frozen=True, tag="tally"):
    """How much the process has done since it started; said once a second at most, when it has changed."""

    active: int
    processed: int
    tasks: tuple[TaskTally, ...] = ()
    """Where metrics are shown."""
    beats: Mapping[str, float] = {}
    """When Celery's beat was last seen to send something here, by its mark."""


FromChild = Tally | Noted | Ready | Drained | Broken | Waiting | Leaving | Told
