"""Chords under real kills: a SIGKILL at each of the six steps between a header's start and its body's, with broker and
store in one SQLite file (one transaction), in two (four steps), and on a real Redis (two scripts)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.e2e.harness import ROOT
from tests.servers.fixtures import own_redis  # noqa: F401 - fixture

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL"),
]

KILLS = 100 if os.environ.get("LEVERET_CHAOS") == "full" else 10
PATIENCE = 60 + KILLS
"""Seconds in which all bodies have ended."""
CHORDS = KILLS + 3 * KILLS // 10
"""One that dies takes the batch it was settling with it: a chord whose step was in that batch may be past it then."""
MEMBERS = 4
STEPS = ("header started", "result stored", "seat taken", "body published", "header settled", "body claimed")
FIGURES = ROOT / "bench" / "results" / "canvas-kill.json"

SENDER = """
import sys
from pathlib import Path
from leveret import chord
from tests.e2e.canvas_app import FOLDER, app, body, member
kills, members = map(int, sys.argv[1:])
made = [
    chord([member.s(index, name) for index in range(members)], body.s(chord=name))
    for name in (f"chord-{n}" for n in range(kills))
]
lines = []
for n, one in enumerate(made):
    name = f"chord-{n}"
    # The join has the chord's name, so that whoever takes a seat can tell whose it is.
    one["kwargs"]["header"] = {"task": "celery.group", "args": (), "kwargs": {"tasks": one.tasks},
                               "options": {"task_id": name}, "subtask_type": "group", "immutable": False}
    one["kwargs"]["body"].options["task_id"] = name + "-body"
    frozen = one.freeze()
    lines.append(" ".join([name, *(result.id for result in frozen.parent)]))
(FOLDER / "members").write_text("\\n".join(lines))
for one in made:
    one.apply_async()
"""

READER = """
import json, sys, time
from contextlib import suppress
from tests.e2e.canvas_app import app
bodies = [app.AsyncResult(f"chord-{n}-body") for n in range(int(sys.argv[1]))]
until = time.monotonic() + float(sys.argv[2])
for body in bodies:
    with suppress(TimeoutError):
        body.get(timeout=max(until - time.monotonic(), 0.0), propagate=False)
print(json.dumps([[body.state, body.result] for body in bodies]))
"""


def environment(folder: Path, step: str, apart: bool, url: str = "") -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "CANVAS_URL": url or f"sqlite:///{folder / 'queue.db'}",
        "CANVAS_RESULTS": f"sqlite:///{folder / 'results.db'}" if apart else "",
        "CANVAS_FOLDER": str(folder),
        "CANVAS_STEP": step,
    }


def run(code: str, environment: dict[str, str], *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE + 60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=["one transaction", "four steps", "two scripts"])
def place(request: pytest.FixtureRequest) -> tuple[str, bool, str]:
    """What the settlement is made of, whether the store is apart, and the broker's URL where it is no file."""
    kind = request.param
    return kind, kind == "four steps", request.getfixturevalue("own_redis").url if kind == "two scripts" else ""


@pytest.mark.parametrize("step", STEPS)
def test_a_body_is_committed_once_whatever_dies(tmp_path: Path, step: str, place: tuple[str, bool, str]) -> None:
    kind, apart, url = place
    (tmp_path / "history").touch()
    quiet = environment(tmp_path, "", apart, url)
    run(SENDER, quiet, CHORDS, MEMBERS)
    command = [
        sys.executable,
        "-m",
        "leveret.cli",
        "worker",
        "-A",
        "tests.e2e.canvas_app",
        "-c",
        "2",
        "-n",
        "kill@canvas",
    ]
    began = time.monotonic()
    with (tmp_path / "log").open("w") as log:
        node = subprocess.Popen(command, cwd=ROOT, env=environment(tmp_path, step, apart, url), stdout=log, stderr=log)
    try:
        # Not the lines in the history: of what is committed in a batch that its process dies with, there is none.
        states = json.loads(run(READER, quiet, CHORDS, PATIENCE))
    finally:
        node.terminate()
        node.wait(20)
    history = [tuple(line.split()) for line in (tmp_path / "history").read_text().splitlines()]
    commits = Counter(chord for what, chord in history if what == "commit")

    assert states == [["SUCCESS", list(range(MEMBERS))]] * CHORDS, (tmp_path / "log").read_text()[-3000:]
    # A script settles several chords at once, and its process dies for the first of them.
    struck = len(list(tmp_path.glob("killed-*")))
    least = 0.5 if kind == "two scripts" else 0.9
    assert struck >= least * KILLS, f"only {struck} of {CHORDS} chords were struck"
    assert max(commits.values()) == 1
    # Between two scripts a process can die with a batch of which some is committed: then nobody has written the line.
    assert len(commits) == CHORDS or kind == "two scripts"
    _keep(step, kind, struck, time.monotonic() - began)


def _keep(step: str, kind: str, struck: int, seconds: float) -> None:
    if os.environ.get("LEVERET_CHAOS") != "full":
        return
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    figures = {"chords": CHORDS, "kills": struck, "bodies_committed_once": CHORDS, "seconds": round(seconds, 1)}
    known[f"{step}, {kind}"] = figures
    FIGURES.write_text(json.dumps(known, indent=2) + "\n")


REPEATING_SENDER = """
import msgspec
from leveret import chord
from tests.e2e.canvas_app import FOLDER, app, body, member
(FOLDER / "members").write_text("")
plan = chord([member.s(index, "") for index in range(30)], body.s(chord="repeated")).plan(
    app.client, (), {}, {"task_id": "chord-0-body"}
)
for queue in ("a", "b", "c"):
    postings = [msgspec.structs.replace(one, queue=queue, once=False) for one in app.client.postings(plan.messages)]
    app.client.parts.broker.publish(tuple(postings if queue != "c" else postings[::2]), timeout=10)
"""


@pytest.mark.parametrize("apart", [False, True], ids=["one transaction", "four steps"])
def test_members_that_are_delivered_two_and_three_times_count_once(tmp_path: Path, apart: bool) -> None:
    (tmp_path / "history").touch()
    quiet = environment(tmp_path, "", apart)
    run(REPEATING_SENDER, quiet)
    command = [sys.executable, "-m", "leveret.cli", "worker", "-A", "tests.e2e.canvas_app", "-c", "2", "--burst"]
    done = subprocess.run(
        [*command, "-Q", "a,b,c,default"], cwd=ROOT, env=quiet, capture_output=True, text=True, timeout=60, check=False
    )
    history = (tmp_path / "history").read_text().splitlines()

    assert done.returncode == 0, done.stderr
    assert json.loads(run(READER, quiet, 1, 0)) == [["SUCCESS", list(range(30))]]
    assert history.count("commit chord-0-body") == 1
    assert history.count("body repeated") == 1


DYING_SENDER = """
import os, signal, sys
from leveret import chord
from leveret.links.sql import messages
from tests.e2e.canvas_app import app, body, member
k, honest, sent = int(sys.argv[1]), messages.ENCODE, []
def encode(value):
    sent.append(value)
    if len(sent) == k:
        os.kill(os.getpid(), signal.SIGKILL)
    return honest(value)
messages.ENCODE = encode
chord([member.s(index, "") for index in range(50)], body.s(chord="c")).apply_async(task_id="chord-x")
"""

COUNTER = """
from leveret.links.sql import messages
import asyncio
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import open_drivers
from tests.e2e.canvas_app import app
drivers = open_drivers(app.conf.settings, SystemClock())
print(sum(count.ready for count in asyncio.run(drivers.broker.admin().counts(()))))
"""


@pytest.mark.parametrize("k", [1, 25, 50])
def test_a_sender_that_dies_has_sent_all_of_a_header_or_nothing(tmp_path: Path, k: int) -> None:
    quiet = environment(tmp_path, "", False)
    command = [sys.executable, "-c", DYING_SENDER, str(k)]
    done = subprocess.run(command, cwd=ROOT, env=quiet, capture_output=True, timeout=60, check=False)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert run(COUNTER, quiet).strip() in ("0", "")
