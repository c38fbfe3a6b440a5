"""Records `golden/celery.json` from the installed Celery: `python -m tests.interop.record_golden`."""

import json
from pathlib import Path
from typing import Any

from tests.interop.celery_reader import CeleryReader

GOLDEN = Path(__file__).with_name("golden")

LINK = {
    "task": "proj.log",
    "args": [5],
    "kwargs": {},
    "options": {"queue": "q2"},
    "subtask_type": None,
    "immutable": False,
}
BODY = {**LINK, "task": "proj.sum", "args": [], "immutable": True, "chord_size": 2}

CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "countdown": {"countdown": 10},
    "eta and expires": {"eta": "2030-01-02T03:04:05.678901+00:00", "expires": "2030-01-03T00:00:00+02:00"},
    "naive eta": {"eta": "2030-01-02T03:04:05"},
    "limits": {"time_limit": 30, "soft_time_limit": 2.5},
    "link": {"callbacks": [LINK]},
    "link_error": {"errbacks": [LINK]},
    "chain": {"chain": [{**LINK, "task": "proj.last"}, {**LINK, "task": "proj.next"}], "root_id": "root"},
    "chord": {"chord": BODY, "group_id": "g", "group_index": 1, "parent_id": "p", "root_id": "root"},
    "headers": {"send": {"headers": {"my_header": [1, "x"], "x-death": [{"count": 1}], "redelivered": True}}},
    "compressed": {"send": {"compression": "gzip"}},
    "bzip2": {"send": {"compression": "bzip2"}},
    "zstd": {"send": {"compression": "zstd"}},
    "msgpack": {"send": {"serializer": "msgpack"}},
    "yaml": {"send": {"serializer": "yaml"}},
    "ignore_result": {"ignore_result": True},
    "third try": {"retries": 2, "replaced_task_nesting": 1, "shadow": "add it"},
    "stamped": {"stamped_headers": ["customer"], "customer": "c1"},
    "reply_to": {"reply_to": "a-queue"},
}
KWARGS = {"key": "wert \u00fc"}
V1_OPTIONS = {
    "expires": "2030-01-03T00:00:00+00:00",
    "retries": 1,
    "group_id": "g",
    "callbacks": [LINK],
    "time_limit": 3,
}


def main() -> None:
    recorded = {}
    with CeleryReader() as celery:
        for name, options in CALLS.items():
            call = {
                "task": "proj.add",
                "id": "an-id",
                "args": [1, 2],
                "kwargs": KWARGS,
                "origin": "gen1@host",
                **options,
            }
            recorded[name] = celery.ask("build", call)
        plain = {"task": "proj.add", "id": "an-id", "args": [1, 2], "kwargs": KWARGS}
        recorded["v1"] = celery.ask("build_v1", {**plain, "options": V1_OPTIONS})
        recorded["hybrid"] = dict(recorded["v1"], headers={"task": "proj.add", "id": "an-id", "retries": 4, "mine": 1})
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "celery.json").write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
