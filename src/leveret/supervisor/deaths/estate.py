"""What a death means: its reason in words, and who is charged."""

import re
import signal
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from leveret.model.delivery import Charge, Receipt, SessionId
from leveret.model.node import Reaping
from leveret.supervisor.slots import PageView

TIME_LIMIT = "time limit"
STUCK = "stuck"


class Death(Struct, frozen=True, kw_only=True):
    """How a child ended. `orderly`: it had drained, or we stopped it: nobody is to blame.

    `overdue` are the receipts whose time limit had passed when we killed it for that.
    """

    session: SessionId | None
    reason: str
    at: float
    orderly: bool = False
    overdue: frozenset[Receipt] = frozenset()


class Estate(Struct, frozen=True):
    """What is done with what a dead child held. `keep` is set where unstarted work goes back first, unsuspected."""

    reaping: Reaping
    keep: tuple[Receipt, ...] | None = None
    ran: tuple[str, ...] = ()


def settle_estate(death: Death, page: PageView) -> Estate | None:
    """Decide who is charged: what ran alone in its process. Of several (slots, or the calls of a batch) nobody is, but
    what ran becomes suspect."""
    if death.session is None:
        return None
    ran = tuple(running.id for running in page.running)
    if death.orderly or not (page.running or page.torn):
        return Estate(Reaping(session=death.session), ran=ran)
    charge = Charge(reason=death.reason, at=death.at, session=death.session)
    guilty = tuple((running.receipt, charge) for running in page.running if running.receipt in death.overdue)
    # Several at once: one held the interpreter, the others were late because of it. Tried alone, each shows itself.
    if guilty and (len(guilty) == 1 or page.slots == 1):
        return Estate(Reaping(session=death.session, charged=guilty), ran=ran)
    if page.torn:
        known = tuple(running.receipt for running in page.running)
        return Estate(Reaping(session=death.session, suspect_others=True, suspects=known), ran=ran)
    if page.slots == 1 and len(page.running) == 1:
        return Estate(
            Reaping(session=death.session, charged=tuple((running.receipt, charge) for running in page.running)),
            ran=ran,
        )
    keep = tuple(running.receipt for running in page.running)
    return Estate(Reaping(session=death.session, suspect_others=True, suspects=keep), keep, ran)


def reason_of(code: int | None, *, out_of_memory: bool) -> str:
    """Name an exit status (`subprocess`'s: negative for a signal)."""
    if code is None:
        return "exit unknown"
    if code >= 0:
        return f"exit {code}"
    if out_of_memory and -code == 9:
        return "oom"
    name = ""
    with suppress(ValueError):
        name = f" ({signal.Signals(-code).name})"
    return f"signal {-code}{name}"


class OutOfMemoryMeter:
    """Reads how often the kernel killed something in our cgroup for want of memory (v2 memory.events, v1
    memory.oom_control)."""

    def __init__(self, paths: tuple[Path, ...] | None = None) -> None:
        self._paths = _counters() if paths is None else paths
        self._last = self._read()

    def rose(self) -> bool:
        """Whether it happened since the last call."""
        now, before = self._read(), self._last
        self._last = now
        return now > before

    def _read(self) -> int:
        total = 0
        for path in self._paths:
            with suppress(OSError):
                total += sum(int(count) for count in re.findall(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE))
        return total


def _counters() -> tuple[Path, ...]:
    """The counter files of the cgroup we are in; inside a container its own root is the whole tree."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inner = path.lstrip("/")
        if not controllers:
            candidates = [Path("/sys/fs/cgroup", inner, "memory.events"), Path("/sys/fs/cgroup/memory.events")]
        elif "memory" in controllers.split(","):
            root = Path("/sys/fs/cgroup/memory")
            candidates = [root / inner / "memory.oom_control", root / "memory.oom_control"]
        else:
            continue
        found += [candidate for candidate in candidates if candidate.exists()][:1]
    return tuple(found)
