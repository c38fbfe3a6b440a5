"""Fixtures: a folder with an app in it, as a user has one."""

import sys
from pathlib import Path
from uuid import uuid4

import pytest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder: a project whose modules are forgotten afterwards."""
    before, path = set(sys.modules), list(sys.path)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LEVERET_APP", raising=False)
    yield tmp_path
    sys.path[:] = path
    for name, module in list(sys.modules.items()):
        if name not in before and str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def module(project):
    """Write an app to a module of a fresh name; answers the name."""

    def write(text: str = "", *, name: str | None = None, app: str = "app", title: str = "tasks") -> str:
        name = name or f"m{uuid4().hex[:8]}"
        path = Path(project, *name.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(
            f"from leveret import Leveret\n{app} = Leveret({title!r})\n"
            f"@{app}.task(name='add')\ndef add(x, y=1):\n    return x + y\n{text}"
        )
        return name

    return write
