"""The systems that are measured side by side, and the virtual environment each of them lives in."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

BENCH = Path(__file__).parent
VENVS = BENCH / ".venvs"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """`peer` is a file of bench/peers; `tasks` is how many it drains, so that its window lasts a second or more."""

    name: str
    peer: str
    install: tuple[str, ...]
    tasks: int
    options: Mapping[str, str] = field(default_factory=dict)
    venv: str = ""
    """Default: one of its own, named like the peer file."""
    calls: int = 15
    """How many round trips it makes; few where one takes as long as a poll."""

    @property
    def python(self) -> Path:
        return VENVS / (self.venv or self.peer) / "bin" / "python"

    def command(self, *arguments: str) -> tuple[str, ...]:
        return (str(self.python), str(BENCH / "peers" / f"p_{self.peer}.py"), *arguments)

    def environment(self, data: Path, counter: Path, place: Mapping[str, str]) -> dict[str, str]:
        """`place` leads to the broker. Nothing else is set for ours: the rest is as the README's first example has it."""
        options = {f"BENCH_{name.upper()}": value for name, value in self.options.items()}
        site_packages = next(self.python.parents[1].glob("lib/python*/site-packages"))
        places = {
            "BENCH_DATA": str(data),
            "LEVERET_BENCH_COUNTER": str(counter),
            # flexiq's and taskito's prefork children are started by the interpreter behind the environment's link.
            "PYTHONPATH": os.pathsep.join((str(BENCH / "peers"), str(site_packages))),
        }
        if self.options.get("results") == "redis":
            places["LEVERET_RESULT_BACKEND"] = place["BENCH_REDIS_URL"]
        return {**_inherited(), **places, **place, **options}


def _inherited() -> dict[str, str]:
    """Ours without what somebody's shell sets for Leveret; and every process may write the bytecode it compiles."""
    unwanted = ("LEVERET_", "BENCH_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


LEVERET = System(
    name="leveret",
    peer="leveret",
    install=("--reinstall-package", "leveret", f"{BENCH.parent}[amqp,redis]"),
    tasks=40_000,
    calls=300,
)
"""Installed anew as `prepare` finds it: what is measured does not change under the measurement."""
SQLITE_PEERS = (
    System(name="huey", peer="huey", install=("huey==3.5.*",), tasks=4_000),
    System(name="huey, quiet", peer="huey", install=("huey==3.5.*",), tasks=4_000, options={"quiet": "1"}),
    System(name="flexiq, tuned", peer="flexiq", install=("flexiq==2.1.*",), tasks=3_000),
    System(name="taskito, tuned", peer="taskito", install=("taskito==0.22.*",), tasks=3_000),
)


CELERY = System(name="celery", peer="celery", install=("hiredis", "celery[redis]==5.7.*"), tasks=4_000, calls=300)
REDIS_PEERS = (
    System(
        name="dramatiq",
        peer="dramatiq",
        install=("dramatiq[redis]==2.2.*", "hiredis"),
        tasks=8_000,
        venv="dramatiq-redis",
        options={"results": "1"},
    ),
    System(
        name="taskiq, streams",
        peer="taskiq",
        install=("taskiq==0.12.*", "taskiq-redis==1.2.*", "hiredis", "uvloop"),
        tasks=8_000,
    ),
    System(
        name="huey, quiet",
        peer="huey",
        install=("huey[redis]==3.5.*", "hiredis"),
        tasks=10_000,
        venv="huey-redis",
        options={"quiet": "1"},
    ),
)
DRAMATIQ = System(name="dramatiq", peer="dramatiq", install=("dramatiq[rabbitmq]==2.2.*",), tasks=8_000)


def variant(system: System, name: str, **changes: Any) -> System:
    """The same system with other options, and another name where ratios are told apart."""
    options = {**system.options, **changes.pop("options", {})}
    return replace(system, name=name, options=options, **changes)


def prepare(systems: tuple[System, ...]) -> None:
    """Make each system's virtual environment where it is missing: their pins conflict otherwise."""
    uv = Path(sys.executable).with_name("uv")
    for system in {system.python: system for system in systems}.values():
        missing = not system.python.exists()
        if missing:
            venv = system.python.parents[1]
            print(f"installing {system.install[-1]} into {venv} ...", flush=True)
            shutil.rmtree(venv, ignore_errors=True)
            subprocess.run([uv, "venv", "-q", "--python", sys.executable, venv], check=True)
        if missing or system.install == LEVERET.install:
            options = ("-q", "--compile-bytecode", "--python", system.python)
            subprocess.run([uv, "pip", "install", *options, *system.install], check=True)
