"""Classes named by data: found where this process has loaded them already, never imported, never called here."""

import sys
from types import ModuleType
from typing import Any

_MAIN = "__main__"


def name_of(kind: type[Any]) -> tuple[str, str]:
    """(module, qualified name) by which another process finds the class: a script's module by its file's name."""
    module = kind.__module__
    return (_main_name() or module) if module == _MAIN else module, kind.__qualname__


def loaded_class(module: Any, name: Any) -> type[Any] | None:
    """The class of that name if it is loaded; in the process that runs it as a script it lives in `__main__`."""
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    found = _within(sys.modules.get(module), name)
    if found is None and module == _main_name():
        found = _within(sys.modules.get(_MAIN), name)
    return found


def _within(module: ModuleType | None, name: str) -> type[Any] | None:
    found: Any = module
    try:
        for part in name.split("."):
            # vars(), not getattr: a lazy module or a descriptor must not run for the sake of data.
            found = vars(found)[part]
    except (KeyError, TypeError):
        return None
    return found if isinstance(found, type) else None


def _main_name() -> str | None:
    main = sys.modules.get(_MAIN)
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name).removesuffix("." + _MAIN)
    file = getattr(main, "__file__", None)
    if not isinstance(file, str):
        return None
    return file.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
