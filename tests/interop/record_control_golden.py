"""Records `golden/control.json`: what a Celery 5.7 worker answers to each command of remote control, on Redis and on
RabbitMQ.

`python -m tests.interop.record_control_golden` needs both; the tests that read the file need none.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from celery import Celery
from tests.interop.sides.processes import WorkerProcess, until
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer

GOLDEN = Path(__file__).with_name("golden") / "control.json"
NODE = "golden@interop"
TASK = "interop.progress"


def main() -> None:
    with RedisServer() as redis, RabbitServer() as rabbit:
        recorded = {"redis": record(redis.url, redis.url), "rabbitmq": record(rabbit.url, redis.url)}
    GOLDEN.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
    print({kind: len(found) for kind, found in recorded.items()}, file=sys.stderr)


def record(broker: str, results: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        places = {"INTEROP_BROKER": broker, "INTEROP_BACKEND": results, "CELERY_WORKER_POOL_RESTARTS": "1"}
        options = ["-P", "prefork", "-c", "2", "-Q", "golden"]
        worker = WorkerProcess("celery", "golden", Path(folder), places, options)
        try:
            return replies(Celery("golden", broker=broker, backend=results), Path(folder))
        finally:
            worker.kill()


def replies(app: Celery, folder: Path) -> dict[str, Any]:
    """Every command once, where it has something to say."""
    control = app.control

    def ask(command: str, **arguments: Any) -> Any:
        found = control.broadcast(command, arguments=arguments, destination=[NODE], reply=True, timeout=10, limit=1)
        return found[0][NODE] if found else None

    until(lambda: ask("ping") is not None, 60)
    gate = folder / "gate"
    running = [app.send_task(TASK, (str(gate),), queue="golden") for _ in range(2)]
    waiting = app.send_task("interop.add", (1, 2), queue="golden")
    app.send_task("interop.add", (1, 2), queue="golden", countdown=60)
    until(lambda: len(ask("active")) == 2 and ask("reserved") and ask("scheduled"), 60)
    found = {
        "ping": ask("ping"),
        "active": ask("active"),
        "reserved": ask("reserved"),
        "scheduled": ask("scheduled"),
        "registered": ask("registered"),
        "registered attributes": ask("registered", taskinfoitems=["max_retries", "serializer"]),
        "stats": ask("stats"),
        "active_queues": ask("active_queues"),
        "query_task": ask("query_task", ids=[running[0].id, waiting.id, "unknown"]),
        "conf": ask("conf"),
        "conf with defaults": ask("conf", with_defaults=True),
        "report": ask("report"),
        "clock": ask("clock"),
        "memsample": ask("memsample"),
        "hello": ask("hello", from_node="other@host", revoked=["x"]),
        "time_limit": ask("time_limit", task_name="interop.add", soft=1.0, hard=2.0),
        "time_limit unknown": ask("time_limit", task_name="nobody", soft=1.0, hard=2.0),
        "rate_limit": ask("rate_limit", task_name="interop.add", rate_limit="10/m"),
        "rate_limit off": ask("rate_limit", task_name="interop.add", rate_limit="0"),
        "rate_limit unknown": ask("rate_limit", task_name="nobody", rate_limit="10/m"),
        "rate_limit wrong": ask("rate_limit", task_name="interop.add", rate_limit="often"),
        "enable_events": ask("enable_events"),
        "enable_events again": ask("enable_events"),
        "disable_events": ask("disable_events"),
        "disable_events again": ask("disable_events"),
        "heartbeat": ask("heartbeat"),
        "election": ask("election", id="1", topic="x"),
        "add_consumer": ask("add_consumer", queue="golden-2"),
        "cancel_consumer": ask("cancel_consumer", queue="golden-2"),
        "pool_grow": ask("pool_grow", n=1),
        "pool_shrink": ask("pool_shrink", n=1),
        "pool_restart": ask("pool_restart"),
        "autoscale": ask("autoscale", max=3, min=1),
        "unknown": ask("no_such_command"),
        "wrong arguments": ask("ping_pong"),
        "revoke": ask("revoke", task_id=waiting.id),
        "revoke several": ask("revoke", task_id=["a", "b"]),
        "revoked": ask("revoked"),
        "revoke_by_stamped_headers": ask("revoke_by_stamped_headers", headers={"shop": ["1"]}),
        "terminate unknown": ask("terminate", task_id="nobody", signal="KILL"),
        "revoke terminate": ask("revoke", task_id=running[0].id, terminate=True),
        "terminate": ask("terminate", task_id=running[1].id, signal="KILL"),
    }
    gate.touch()
    found["shutdown"] = ask_shortly(app)
    found["report"] = {"ok": "software -> celery ..."}  # names the machine
    scrubbed: dict[str, Any] = json.loads(json.dumps(found).replace(str(folder), "/folder"))
    return scrubbed


def ask_shortly(app: Celery) -> Any:
    began = time.monotonic()
    found = app.control.broadcast("shutdown", destination=[NODE], reply=True, timeout=2, limit=1)
    assert time.monotonic() - began < 5
    return found[0][NODE] if found else None


if __name__ == "__main__":
    main()
