"""Every example in the documentation is run, in a fresh folder per page, top to bottom.

How a page's fenced blocks are read:
- `python` with a first line `# name.py` is written to that file (`test_...py` is then run by pytest); any other
  `python` block is run as a script.
- `pycon` is run as a doctest.
- `console`: each line that begins with `$ ` is run. `leveret worker` starts in the background until the page ends. The
  lines below a command must occur in its output, `...` standing for anything.
- A block under `<!-- not run: why -->` is left alone, and so is every other language.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(
    r"(?P<skip><!-- not run: [^>]+-->\s*\n)?^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
LOOKING = {"dead", "queues", "result", "status"}
"""Verbs that may look too early, as a reader would: they are run again until they show what the page shows."""
PATIENCE_SECONDS = 15.0
RUNNABLE = ("python", "pycon", "console")


@dataclass
class Page:
    """A folder in which the examples of one page live."""

    folder: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        return {**os.environ, "PATH": path, "PYTHONPATH": str(self.folder), "COLUMNS": "160", "NO_COLOR": "1"}

    def run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout + done.stderr

    def start_worker(self, command: list[str]) -> None:
        with (self.folder / f"worker-{len(self.workers)}.log").open("wb") as log:
            self.workers.append(
                subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
            )

    def logs(self) -> str:
        return "\n".join(log.read_text() for log in sorted(self.folder.glob("worker-*.log")))

    def stop(self) -> None:
        for worker in self.workers:
            worker.send_signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                worker.kill()
                raise AssertionError(f"a worker did not stop\n{self.logs()}") from None


def blocks(page: Path) -> list[tuple[str, str]]:
    found = BLOCK.finditer(page.read_text())
    return [
        (block["language"], block["body"]) for block in found if block["language"] in RUNNABLE and not block["skip"]
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Page]:
    (tmp_path / "pyproject.toml").touch()
    page = Page(tmp_path)
    yield page
    page.stop()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: str(page.relative_to(ROOT)))
def test_the_examples_of_a_page_run_as_printed(page: Path, folder: Page) -> None:
    for number, (language, body) in enumerate(blocks(page)):
        match language:
            case "python":
                _python(body, folder, number)
            case "pycon":
                (folder.folder / f"session-{number}.txt").write_text(body)
                folder.run([sys.executable, "-m", "doctest", "-o", "ELLIPSIS", f"session-{number}.txt"])
            case _:
                _console(body, folder)


def _python(body: str, folder: Page, number: int) -> None:
    named = re.match(r"# ([\w/]+\.py)\n", body)
    name = named[1] if named else f"example_{number}.py"
    path = folder.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    if not named:
        folder.run([sys.executable, name])
    elif path.name.startswith("test_"):
        folder.run([sys.executable, "-m", "pytest", "-q", name])


def _console(body: str, folder: Page) -> None:
    for chunk in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        line, _, expected = chunk.partition("\n")
        command = shlex.split(line)
        command = [word for word in command if word != "&"]
        if command[0] == "leveret" and "worker" in command and not {"--burst", "--check"} & {*command}:
            folder.start_worker(command)
            continue
        deadline = time.monotonic() + (PATIENCE_SECONDS if LOOKING & {*command} else 0)
        while missing := _missing(folder.run(command), expected):
            assert time.monotonic() < deadline, f"{line}: {missing}"
            time.sleep(0.1)


def _missing(output: str, expected: str) -> str:
    """Empty when every expected line occurs in the output."""
    for wanted in filter(None, map(str.strip, expected.splitlines())):
        if not re.search(".*".join(map(re.escape, wanted.split("..."))), output):
            return f"{wanted!r} is not in\n{output}"
    return ""
