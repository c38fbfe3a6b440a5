"""An installed package adds a part of each kind by entry point; nobody has to name it in code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "package"

ENTRY_POINTS = """\
[leveret.brokers]
moon = leveret_moon.drivers:MoonBroker
[leveret.backends]
moon = leveret_moon.drivers:MoonStore
[leveret.serializers]
literals = leveret_moon.formats:LITERALS
[leveret.compressions]
reversed = leveret_moon.formats:REVERSED
[leveret.executors]
moon = leveret_moon.running:MoonExecutor
[leveret.schedules]
full-moon = leveret_moon.running:FullMoon
[leveret.commands]
moonrise = leveret_moon.running:moonrise
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder as pip leaves it; answers a function that runs Python there."""
    site = tmp_path_factory.mktemp("site")
    (site / "leveret_moon").symlink_to(PACKAGE / "leveret_moon")
    info = site / "leveret_moon-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: leveret-moon\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)

    def python(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(site)}
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, cwd=site, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


def test_report_lists_every_part_and_the_package_it_came_from(installed):
    parts = json.loads(installed("-m", "leveret.cli", "report", "--json"))["parts"]

    found = {(part["kind"], part["name"]) for part in parts if part["origin"] == "leveret-moon"}
    assert found == {
        ("brokers", "moon"),
        ("backends", "moon"),
        ("serializers", "literals"),
        ("compressions", "reversed"),
        ("executors", "moon"),
        ("schedules", "full-moon"),
        ("commands", "moonrise"),
    }


def test_its_verb_is_a_verb(installed):
    assert installed("-m", "leveret.cli", "moonrise", "sun") == "the sun is up\n"
    assert "moonrise" in installed("-m", "leveret.cli", "--help")


USE = """
import asyncio
from leveret import Leveret
from leveret.wiring.clock import SystemClock
from leveret.wiring.codec import build_codec
from leveret.wiring.drivers import open_drivers
from leveret.wiring.parts import load

app = Leveret("t", broker="moon://here", backend="moon://store", task_serializer="literals", accept_content=["literals"])
app.conf.task_compression = "reversed"

@app.task(name="t")
def t(x): ...

t.delay((1, {2, 3}))
drivers = open_drivers(app.conf.settings, SystemClock())
counts = asyncio.run(drivers.broker.admin().counts())
print(type(drivers.broker).__name__, type(drivers.backend).__name__, counts[0].ready)
print(load("executors", "moon").__name__, load("schedules", "full-moon").__name__)
"""


def test_its_drivers_and_formats_carry_a_message(installed):
    assert installed("-c", USE).splitlines() == ["MoonBroker MoonStore 1", "MoonExecutor FullMoon"]


def test_a_part_may_also_be_named_by_its_path(installed):
    path = "leveret_moon.running:MoonExecutor"
    code = f"from leveret.wiring.parts import find, load; print(find('executors', {path!r}).origin, load('executors', {path!r}).__name__)"

    assert installed("-c", code) == "dotted path MoonExecutor\n"
