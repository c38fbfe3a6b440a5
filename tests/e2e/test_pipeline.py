"""The example pipeline on a few rows."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.harness import ROOT


def test_the_pipeline_reports_on_every_part(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}",
        "PIPELINE_OUT": str(tmp_path / "out"),
        "LEVERET_BROKER_URL": f"sqlite:///{tmp_path / 'queue.db'}",
    }
    command = [sys.executable, "-m", "examples.pipeline", "--parts", "6", "--rows", "500", "--timeout", "60"]

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100, check=False)

    assert done.returncode == 0, done.stdout + done.stderr + (tmp_path / "out" / "worker.log").read_text()
    assert "suspicious accounts" in done.stdout
    assert "group of 6" in done.stdout
