"""What a supervisor is told, and whom it tells."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from leveret.errors import ImproperlyConfigured
from leveret.logic.restart import RestartPolicy
from leveret.model.options import WorkerOptions

Method = Literal["auto", "fork", "spawn"]

END_OF_A_WAIT: Final = "a second INT (or QUIT) stops now; --soft-shutdown-timeout limits that wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOptions:
    """Durations are seconds. `entry` is the module with `preload(options)` and `run(app, options, channel)`."""

    worker: WorkerOptions
    entry: str
    method: Method = "auto"
    lease_seconds: float = 20.0
    stall_seconds: float = 10.0
    """A beat counter that stands still for so long: the child is stuck."""
    unsettled_seconds: float = 30.0
    """A stuck child with an outcome unsettled for so long is replaced whatever it runs."""
    answer_seconds: float = 1.0
    """How long a child may take to conclude a hard time limit, or to obey StopNow."""
    quarantine_idle_seconds: float = 60.0
    say_every_seconds: float = 10.0
    restart: RestartPolicy = field(default_factory=RestartPolicy)

    def __post_init__(self) -> None:
        if self.worker.processes < 1:
            raise ImproperlyConfigured(f"processes must be at least 1, not {self.worker.processes}")
        if self.method not in ("auto", "fork", "spawn"):
            raise ImproperlyConfigured(f"method is auto, fork or spawn, not {self.method!r}")


class Log(Protocol):
    """Constant text plus fields; `level` is `debug`, `info`, `warning` or `error`."""

    def __call__(self, level: str, text: str, /, **fields: object) -> None: ...


def log_to_logging(level: str, text: str, /, **fields: object) -> None:
    """Write to the logger `leveret.supervisor`."""
    tail = " ".join(f"{name}={value}" for name, value in fields.items())
    logging.getLogger("leveret.supervisor").log(
        logging.getLevelNamesMapping()[level.upper()], "%s%s", text, f" [{tail}]" if tail else ""
    )


def _nothing(*_: object) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorHooks:
    """Observers; none may raise. `on_ready` gets the pids once, when every child is ready for the first time;
    `on_waiting` gets what a warm stop still waits for."""

    on_ready: Callable[[tuple[int, ...]], None] = _nothing
    on_waiting: Callable[[tuple[str, ...]], None] = _nothing
    on_death: Callable[[int, str, tuple[str, ...]], None] = _nothing
    """(pid, reason, ids that were running), after the charges are written."""
    on_renew: Callable[[], None] = _nothing
    """The new code is being imported."""
    on_reload: Callable[[], None] = _nothing
    """Every process runs the new code."""
    log: Log = log_to_logging
