"""One kill run (kill_run.py) in a process of its own, over any broker."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.drill import FULL, ROOT, SEED, size

SIZE: dict[str, Any] = size(
    {"tasks": 2000, "child_kills": 30, "running_kills": 20, "supervisor_kills": 5, "killers": 5, "lease": 20.0}, {}
)


def perform(
    folder: Path, broker: str | None = None, *, store: str | None = None, fused: bool = False, **plan: Any
) -> dict[str, Any]:
    """Do it; answers its report. `broker`: another than the SQLite file, which then keeps the results only, unless
    another `store` or the broker (`fused`) does."""
    file = f"sqlite:///{folder / 'queue.db'}"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}",
        "KILL_URL": broker or file,
        "KILL_SETTINGS": json.dumps({"result_backend": store or file} if broker and not fused else {}),
        "KILL_HISTORY": str(folder / "history"),
        "KILL_LEASE": str(plan.get("lease", 4.0)),
    }
    command = [sys.executable, "-m", "tests.e2e.kill_run", str(folder), json.dumps({"seed": SEED, **plan})]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as run:
        try:
            told, _ = run.communicate(timeout=280 if not FULL else 1800)
        except subprocess.TimeoutExpired:
            # Not killed: it takes its node along.
            run.terminate()
            raise
    assert run.returncode == 0, f"the kill run ended with {run.returncode}"
    report: dict[str, Any] = json.loads(told)
    return report
