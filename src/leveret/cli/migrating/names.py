"""What becomes of a name that a program imports from Celery or from a package around it.

Whether we have it is not written down here: it is looked for, so that the answer is that of this version.
"""

from importlib import import_module
from typing import Any

from leveret.cli.migrating.findings import IMPORT, Finding
from leveret.config.row import Mark

ELSEWHERE = {
    "celery.bootsteps": "there are no bootsteps; `@app.lifespan` opens and closes what a worker process needs",
    "celery.contrib.testing": "`leveret.testing` and its pytest fixtures test tasks without a worker",
    "celery.contrib.pytest": "`leveret.testing` and its pytest fixtures test tasks without a worker",
    "celery.contrib.rdb": "`-P solo` runs tasks in the foreground, where a debugger works",
    "celery.contrib.abortable": "`result.revoke(terminate=True)` ends a running task",
    "celery.beat": "the schedule lives in a store of its own: `app.schedules`, `leveret schedule`",
    "celery.fixups": "Django is adapted by itself",
    "celery.loaders": "there are no loaders: `config_from_object`, `autodiscover_tasks`",
    "celery.concurrency": "a pool is a class named by `-P package.module:Class`",
    "celery.worker": "a worker's parts are not offered",
    "celery.apps": "`app.worker_main([...])` and `leveret` are the command line",
    "celery.bin": "`app.worker_main([...])` and `leveret` are the command line",
    "celery.backends": "a result store is a class behind the entry point `leveret.backends`",
    "celery.platforms": "systemd or a container does that",
    "celery.five": "it left Celery with 5.0",
    "celery.task": "it left Celery with 5.0: `@app.task`, `@shared_task`, `leveret.Task`",
    "kombu.serialization": "a serializer is a value behind the entry point `leveret.serializers`",
    "django_celery_beat": "not needed: `app.schedules` and `leveret schedule` change the schedule while it runs",
    "django_celery_results": "not read: results live beside the queue, or in Redis",
    "redbeat": "not needed: any number of schedulers share one store",
    "celery_once": "not supported: its base class takes Celery's place in the call",
    "celery_singleton": "not supported: its base class takes Celery's place in the call",
    "celery_batches": "not supported: tasks are not gathered into batches",
    "celery_progress": "it reads results as Celery's backends store them: `result.info` has the same",
}
"""What is not under Celery's path here, and what stands in for it; a path stands for all below it."""

KOMBU = frozenset({"Queue", "Exchange", "binding"})
_OF_KOMBU_COMMON = frozenset({"Broadcast"})
ROOTS = frozenset({"celery", "kombu"}) | {name for name in ELSEWHERE if "." not in name}


def judge_import(module: str, name: str | None, place: str) -> Finding | None:
    """The finding for `from module import name`, or `import module`; None for a package that is none of ours."""
    if module.partition(".")[0] not in ROOTS:
        return None
    written = f"from {module} import {name}" if name else f"import {module}"
    ours, said = _ours(module, name)
    if ours:
        change = f"from {ours} import {name}" if name else f"import {ours}"
        return Finding(kind=IMPORT, name=written, mark=Mark.WORKS, change=change, places=(place,))
    instead = _elsewhere(f"{module}.{name}" if name else module)
    mark = Mark.NOT_NEEDED if instead.startswith("not needed") else Mark.NOT_YET
    return Finding(kind=IMPORT, name=written, mark=mark, note=instead or said, places=(place,))


def _ours(module: str, name: str | None) -> tuple[str, str]:
    """(our module, "") where it is here, else ("", what is said to who imports it)."""
    if module.partition(".")[0] == "kombu":
        known = (module == "kombu" and name in KOMBU) or (module == "kombu.common" and name in _OF_KOMBU_COMMON)
        return ("leveret", "") if known else ("", "kombu's connections are not used: Leveret has its own")
    if module.partition(".")[0] != "celery":
        return "", ""
    path = f"leveret.{module}"
    try:
        found: Any = import_module(path)
        if name and name != "*" and not hasattr(found, name):
            found = import_module(f"{path}.{name}")
    except ImportError as error:
        return "", f"{path} has no {name}" if isinstance(error, ModuleNotFoundError) and name else str(error)
    return path, ""


def _elsewhere(dotted: str) -> str:
    while dotted:
        if dotted in ELSEWHERE:
            return ELSEWHERE[dotted]
        dotted = dotted.rpartition(".")[0]
    return ""
