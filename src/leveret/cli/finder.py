"""Which app is meant, and where it is: `-A`, else `LEVERET_APP`, else `[tool.leveret] app` in pyproject.toml."""

import os
import re
import sys
import tomllib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import leveret
from leveret.app import Leveret
from leveret.client.project import module_name
from leveret.config.kinds import names
from leveret.config.variables import APP
from leveret.errors import ImproperlyConfigured

ATTRIBUTES = ("app", "leveret", "celery")
SUBMODULES = ("leveret", "celery", "app", "tasks")
_OURS = Path(leveret.__file__).parent
_MADE = re.compile(r"""\b(?:Leveret|Celery)\(\s*(?:main\s*=\s*)?["']([\w.\-]+)["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An app and the path by which every process imports it."""

    path: str
    app: Leveret


def named(option: str | None, environ: Mapping[str, str], folder: Path) -> str | None:
    """The name of the app, from the strongest source that has one."""
    return option or environ.get(APP) or _from_pyproject(folder)


def wanted(option: str | None, environ: Mapping[str, str], folder: Path) -> str:
    """As `named`, where there must be one."""
    name = named(option, environ, folder)
    if not name:
        raise ImproperlyConfigured(
            'which app? Say -A module (or module:attribute), set LEVERET_APP, or put app = "module" under '
            "[tool.leveret] in pyproject.toml"
        )
    return name


def _from_pyproject(folder: Path) -> str | None:
    for place in (folder, *folder.parents):
        file = place / "pyproject.toml"
        if file.is_file():
            try:
                table = tomllib.loads(file.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, OSError) as error:
                raise ImproperlyConfigured(f"{file} cannot be read: {error}") from error
            name = table.get("tool", {}).get("leveret", {}).get("app")
            return str(name) if name else None
    return None


def open_app(name: str | None, overrides: Mapping[str, Any]) -> Found:
    """Find the app and complete it: the command line's settings, then every module that holds its tasks."""
    found = find_app(wanted(name, os.environ, Path.cwd()))
    conf = found.app.conf
    conf.override(overrides if "include" not in overrides else _with_added(overrides, conf.include))
    try:
        found.app.import_modules()
    except (Exception, SystemExit) as error:
        raise ImproperlyConfigured(_failed(found.path, error)) from error
    return found


def _with_added(overrides: Mapping[str, Any], own: tuple[str, ...]) -> dict[str, Any]:
    """`-I` adds modules; every other option replaces what the app says."""
    return {**overrides, "include": (*own, *names(overrides["include"]))}


def path_of(app: Leveret) -> str:
    """The path by which other processes import an app that this process has."""
    for name, module in tuple(sys.modules.items()):
        for attribute, value in tuple(vars(module).items()) if isinstance(module, ModuleType) else ():
            if value is app:
                return f"{module_name(name, app.main)}:{attribute}"
    raise ImproperlyConfigured(f"{app!r} is no module's attribute: worker processes could not import it")


def prepare_path() -> None:
    """Put the current folder first on `sys.path`, as `python -m` does."""
    folder = os.getcwd()
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)


def find_app(name: str) -> Found:
    """Import the app that `name` means."""
    prepare_path()
    module_name, colon, attribute = name.partition(":")
    _refuse_file(name, module_name)
    if colon and attribute:
        return _explicit(_imported(module_name, name), attribute)
    if not _exists(module_name):
        parent, dot, last = module_name.rpartition(".")
        # Celery's `-A proj.tasks.app`: the last part may be an attribute.
        if dot and _exists(parent):
            return _explicit(_imported(parent, name), last)
        raise ImproperlyConfigured(_no_module(module_name))
    return _search(_imported(module_name, name))


def _explicit(module: ModuleType, attribute: str) -> Found:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = get_close_matches(
                part, [n for n, v in vars(module).items() if isinstance(v, Leveret)] or dir(found), n=1
            )
            hint = f"; did you mean {module.__name__}:{near[0]}?" if near else ""
            raise ImproperlyConfigured(f"{module.__name__} has no {part!r}{hint}")
        found = getattr(found, part)
    if isinstance(found, ModuleType):
        return _search(found)
    if not isinstance(found, Leveret):
        raise ImproperlyConfigured(f"{module.__name__}:{attribute} is {_article(found)}, not a Leveret app")
    return Found(path=f"{module.__name__}:{attribute}", app=found)


def _search(module: ModuleType) -> Found:
    found = _within(module)
    if found is not None:
        return found
    if hasattr(module, "__path__"):
        for name in SUBMODULES:
            path = f"{module.__name__}.{name}"
            if _exists(path) and (found := _within(_imported(path, path))) is not None:
                return found
    looked = f" or its submodules {', '.join(SUBMODULES)}" if hasattr(module, "__path__") else ""
    raise ImproperlyConfigured(
        f"no Leveret app in {module.__name__}{looked}: name it with -A {module.__name__}:attribute"
    )


def _within(module: ModuleType) -> Found | None:
    names = [name for name, value in vars(module).items() if isinstance(value, Leveret)]
    apps = {id(getattr(module, name)) for name in names}
    chosen = next((name for name in ATTRIBUTES if name in names), names[0] if len(apps) == 1 else None)
    if chosen is None:
        if apps:
            choices = ", ".join(f"{module.__name__}:{name}" for name in names)
            raise ImproperlyConfigured(f"{module.__name__} has {len(apps)} apps; say which: {choices}")
        return None
    return Found(path=f"{module.__name__}:{chosen}", app=getattr(module, chosen))


def _exists(name: str) -> bool:
    try:
        return name in sys.modules or find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):
        return False


def _imported(name: str, asked: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            raise ImproperlyConfigured(_no_module(name)) from error
        raise ImproperlyConfigured(_failed(asked, error)) from error
    except (Exception, SystemExit) as error:
        raise ImproperlyConfigured(_failed(asked, error)) from error


def _failed(name: str, error: BaseException) -> str:
    """One line for an app that does not import: the error, and the user's own line it came from."""
    if isinstance(error, SyntaxError):
        place = f"{error.filename}, line {error.lineno}"
        return f"-A {name} does not import: {place}: {type(error).__name__}: {error.msg}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not Path(frame.filename).is_relative_to(_OURS)
    ]
    place = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
    if isinstance(error, ImproperlyConfigured):
        return f"{error} (-A {name}{', ' if place else ''}{place})"
    return f"-A {name} does not import: {place}{': ' if place else ''}{type(error).__name__}: {error}"


def _refuse_file(name: str, module_name: str) -> None:
    if module_name.endswith(".py") or "/" in module_name or os.sep in module_name:
        plain = module_name.removesuffix(".py").strip("./\\").replace("/", ".").replace(os.sep, ".")
        raise ImproperlyConfigured(f"-A {name} is a file; name the module: -A {plain}")


def _no_module(name: str) -> str:
    folder = Path.cwd()
    home = _made_in(name, folder)
    if home is not None:
        return f"no module named {name!r} in {folder}: {name!r} is the name of the app in {home[1]}; say -A {home[0]}"
    near = get_close_matches(name.partition(".")[0], [path.stem for path in _modules(folder)], n=1)
    hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
    return f"no module named {name!r} in {folder} or among the installed packages{hint}"


def _modules(folder: Path) -> list[Path]:
    packages = [path.parent for path in folder.glob("*/__init__.py")]
    return [*sorted(folder.glob("*.py")), *sorted(packages)]


def _made_in(name: str, folder: Path) -> tuple[str, str] | None:
    """The module under `folder` that makes an app of that name: (module, file)."""
    for path in [*sorted(folder.glob("*.py")), *sorted(folder.glob("*/*.py"))][:200]:
        try:
            text = path.read_text(encoding="utf-8", errors="ignore")
        except OSError:
            continue
        if name in _MADE.findall(text):
            relative = path.relative_to(folder)
            parts = relative.with_suffix("").parts
            return ".".join(parts[:-1] if parts[-1] == "__init__" else parts), str(relative)
    return None


def _article(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
