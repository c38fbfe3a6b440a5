"""A program's files read by `ast`: what it imports of Celery, and where it uses what is not the same here."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from leveret.app import Leveret
from leveret.cli.migrating.findings import SETTING, USE, Finding
from leveret.cli.migrating.names import judge_import
from leveret.client import options as calls
from leveret.client.tasks.making import KNOWN as TASK_OPTIONS
from leveret.config.row import Mark
from leveret.config.table import find

MOST_FILES = 5000
_APPS = frozenset({"app", "celery", "celery_app", "current_app"})
"""How apps are called, where it cannot be seen that one is an app."""
_OF_APPS = frozenset(
    (
        *(
            "Beat",
            "Worker",
            "WorkController",
            "add_defaults",
            "amqp",
            "annotations",
            "backend",
            "bugreport",
            "connection",
        ),
        *("connection_for_read", "connection_for_write", "connection_or_acquire", "control", "events", "loader", "log"),
        *("on_after_fork", "pool", "producer_or_acquire", "producer_pool", "select_queues", "setup_security", "steps"),
        *("task_cls", "user_options"),
    )
)
"""Attributes of Celery's app that ours may not have; whether it has is asked when it is found."""
_NOT_CALLED = {
    "apply_async": "`delay` and canvases do not call it: send with options by `task.options(...)`, or wrap the call",
    "Request": "a worker has no request class to replace",
    "Strategy": "a worker has no strategy to replace",
    "from_config": "an option of None falls back to its setting",
}
_NAIVE = {"now": "datetime.now(timezone.utc)", "utcnow": "datetime.now(timezone.utc)", "today": "countdown="}
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "migrations", "build", "dist"})


def read_sources(folder: Path, *, settings: bool = False) -> Iterator[Finding]:
    """Every use in the Python files below a folder; virtual environments, migrations and hidden folders left out.

    `settings`: assignments such as `CELERY_TASK_TIME_LIMIT = 60` too, for where no app could be asked for its own."""
    for path in python_files(folder):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError):
            continue
        yield from _Reader(str(path.relative_to(folder))).read(tree)
        if settings:
            yield from _settings(tree, str(path.relative_to(folder)))


def python_files(folder: Path) -> Iterator[Path]:
    count = 0
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            if path.name.startswith(".") or path.name in _SKIPPED or (path / "pyvenv.cfg").exists():
                continue
            yield from python_files(path)
        elif path.suffix == ".py" and count < MOST_FILES:
            count += 1
            yield path


def _settings(tree: ast.Module, file: str) -> Iterator[Finding]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name) and target.id.startswith(("CELERY_", "CELERYD_", "CELERYBEAT_")):
                row = find(target.id.removeprefix("CELERY_")) or find(target.id)
                mark, note = (
                    (row.mark, row.note) if row else (Mark.DIFFERS, "no setting that is known, if it is meant as one")
                )
                place = f"{file}:{node.lineno}"
                yield Finding(kind=SETTING, name=target.id, mark=mark, note=note, places=(place,))


class _Reader:
    """One file."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._celery: set[str] = set()
        """Local names of what was imported from Celery."""
        self._apps: set[str] = set()
        self._uses_celery = False

    def read(self, tree: ast.AST) -> Iterator[Finding]:
        nodes = list(ast.walk(tree))
        for node in nodes:
            yield from self._imports(node)
        self._find_apps(nodes)
        for node in nodes:
            match node:
                case ast.Attribute():
                    yield from self._attribute(node)
                case ast.Call():
                    yield from self._call(node)
                case ast.ClassDef():
                    yield from self._class(node)

    def _imports(self, node: ast.AST) -> Iterator[Finding]:
        pairs: list[tuple[str, str | None]] = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            pairs = [(node.module, alias.name) for alias in node.names]
            if node.module.partition(".")[0] == "celery":
                self._celery |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            pairs = [(alias.name, None) for alias in node.names]
        for module, name in pairs:
            finding = judge_import(module, name, self._place(node))
            if finding is not None:
                self._uses_celery = True
                yield finding

    def _find_apps(self, nodes: list[ast.AST]) -> None:
        for node in nodes:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _last(node.value.func) == "Celery":
                self._apps |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.ImportFrom):
                local = {alias.asname or alias.name for alias in node.names}
                # `from shop.celery import app`, `from .celery import app as celery_app`.
                if (node.module or "").rpartition(".")[2] in ("celery", "celery_app", "celeryapp"):
                    self._apps |= local & _APPS

    def _attribute(self, node: ast.Attribute) -> Iterator[Finding]:
        base = _last(node.value)
        is_app = base in self._apps or (base == "current_app" and "current_app" in self._celery)
        if is_app and node.attr in _OF_APPS and (said := _missing_of_app(node.attr)):
            yield self._found(f"app.{node.attr}", Mark.NOT_YET, said, node)

    def _call(self, node: ast.Call) -> Iterator[Finding]:
        called, keywords = _last(node.func), [keyword.arg for keyword in node.keywords if keyword.arg]
        if called in ("apply_async", "send_task"):
            yield from self._call_options(node, keywords)
        if called == "shared_task" or (called == "task" and _last(getattr(node.func, "value", None)) in self._apps):
            for name in keywords:
                if name not in TASK_OPTIONS and name != "bind":
                    said = "not an option of a task: TypeError where it is declared, unless its base class has it"
                    yield self._found(f"@task({name}=)", Mark.DIFFERS, said, node, "remove it")

    def _call_options(self, node: ast.Call, keywords: list[str]) -> Iterator[Finding]:
        for name in keywords:
            if name in calls.NOT_NEEDED:
                yield self._found(f"apply_async({name}=)", Mark.NOT_NEEDED, "taken, without effect", node, "remove it")
            elif name not in calls.KNOWN and name not in ("args", "kwargs", "name"):
                said = "not an option of a call: TypeError where it is made"
                yield self._found(f"apply_async({name}=)", Mark.DIFFERS, said, node, "headers={...}")
        for keyword in node.keywords:
            if keyword.arg in ("eta", "expires") and (right := _naive(keyword.value)):
                said = 'a datetime without a zone is refused, unless timezone = "UTC" or profile = "celery"'
                yield self._found(f"apply_async({keyword.arg}=<naive>)", Mark.DIFFERS, said, node, right)

    def _class(self, node: ast.ClassDef) -> Iterator[Finding]:
        bases = {_last(base) for base in node.bases}
        if not self._uses_celery or not any(base.endswith("Task") for base in bases):
            return
        own = {part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
        own |= {
            target.id
            for part in node.body
            if isinstance(part, ast.Assign)
            for target in part.targets
            if isinstance(target, ast.Name)
        }
        for name in sorted(own & set(_NOT_CALLED)):
            yield self._found(f"class {node.name}: {name}", Mark.DIFFERS, _NOT_CALLED[name], node)

    def _found(self, name: str, mark: Mark, note: str, node: ast.AST, change: str = "") -> Finding:
        return Finding(kind=USE, name=name, mark=mark, note=note, change=change, places=(self._place(node),))

    def _place(self, node: ast.AST) -> str:
        return f"{self._name}:{getattr(node, 'lineno', 0)}"


def _last(node: ast.AST | None) -> str:
    """The last name of a dotted expression; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _naive(node: ast.AST) -> str:
    """What to write instead of `datetime.now()` and the like anywhere in an expression; empty: it has none."""
    for part in ast.walk(node):
        if not (isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute)) or part.args or part.keywords:
            continue
        if part.func.attr in _NAIVE and _last(part.func.value) in ("datetime", "date"):
            return _NAIVE[part.func.attr]
    return ""


@cache
def _missing_of_app(name: str) -> str:
    """What our app says when it is asked for an attribute that it does not have; empty where it has it."""
    try:
        getattr(Leveret("check", broker="memory://check", set_as_current=False), name)
    except AttributeError as error:
        said = str(error)
        return said if "is not here" in said else "Leveret's app has no such attribute"
    return ""
