"""Each example with a web framework runs by the one command of its README."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.e2e.harness import ROOT

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", ["django", "flask", "fastapi"])
def test_an_example_runs_by_its_one_command(name: str) -> None:
    _require(name)
    command = re.findall(r"^python (-m examples\.\w+)$", (EXAMPLES / name / "README.md").read_text(), re.MULTILINE)

    done = _run(*command[0].split(), folder=ROOT)

    assert len(command) == 1
    assert done.count("shipped") == 3, done


def test_the_tests_of_the_django_example_pass() -> None:
    _require("django")

    assert "Ran 4 tests" in _run("manage.py", "test", folder=EXAMPLES / "django")


@pytest.mark.parametrize("name", ["flask", "fastapi"])
def test_the_tests_of_an_example_pass(name: str) -> None:
    _require(name)

    assert " passed" in _run("-m", "pytest", f"examples/{name}/test_bookshop.py", folder=ROOT)


def _run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _require(package: str) -> None:
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
