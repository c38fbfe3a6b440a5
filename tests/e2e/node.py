"""`python -m tests.e2e.node '{...}'`: one supervisor as its own process; what its hooks hear is one JSON line each."""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from leveret.brokers.sql.driver import SqlDriver
from leveret.errors import LeveretError
from leveret.logic.restart import RestartPolicy
from leveret.model.endpoint import Url
from leveret.model.node import Node
from leveret.model.options import DriverOptions, WorkerOptions
from leveret.supervisor.options import SupervisorHooks, SupervisorOptions
from leveret.supervisor.supervisor import Supervisor, supervise
from leveret.wiring.clock import SystemClock


def say(event: str, **fields: Any) -> None:
    os.write(1, (json.dumps({"event": event, **fields}, default=str) + "\n").encode())


async def obey(supervisor: Supervisor) -> None:
    """Resize the pool by what a test writes into a file."""
    order = Path(os.environ["TEST_HISTORY"] + ".resize")
    while True:
        await asyncio.sleep(0.02)
        if order.exists():
            by = int(order.read_text())
            order.unlink()
            try:
                say("resized", slots=await supervisor.pool.resize(by))
            except LeveretError as error:
                say("refused", error=str(error))


def main() -> int:
    asked = json.loads(sys.argv[1])
    clock = SystemClock()
    node = Node(
        name=asked.pop("name", "node@test"),
        incarnation=uuid.uuid4().hex,
        boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        pid=os.getpid(),
        queues=("default",),
    )
    lease = asked.pop("lease", 20.0)
    asked["restart"] = RestartPolicy(**asked.pop("restart", {}))
    worker = {name: asked.pop(name) for name in list(asked) if name in WorkerOptions.__struct_fields__}
    options = SupervisorOptions(
        worker=WorkerOptions(node=node, **worker), entry="tests.e2e.entries", lease_seconds=lease, **asked
    )
    driver = SqlDriver(Url(os.environ["TEST_URL"]), DriverOptions(lease_seconds=lease), clock)
    hooks = SupervisorHooks(
        on_ready=lambda pids: say("ready", pids=pids),
        on_waiting=lambda names: say("waiting", names=names),
        on_death=lambda pid, reason, ran: say("death", pid=pid, reason=reason, ran=ran),
        log=lambda level, text, /, **fields: say("log", level=level, text=text, **fields),
    )
    supervisor = Supervisor(options, driver.leases(), clock, hooks)
    supervisor.companions.append(lambda: obey(supervisor))
    code = supervise(supervisor)
    say("over", code=code)
    return code


if __name__ == "__main__":
    sys.exit(main())
