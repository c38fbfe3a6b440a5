"""What a newcomer sees first must be true: `leveret demo`, and the photographs of `make demo`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_leveret_demo_kills_a_process_and_loses_nothing(tmp_path: Path) -> None:
    done = _run([sys.executable, "-m", "leveret.cli", "demo"], tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "kill -9" in done.stdout
    assert "done 500  failed 0" in done.stdout
    assert "lost 0" in done.stdout
    assert "and ran again on" in done.stdout


def test_the_photographs_survive_a_killed_process(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow (group `demo`) is not installed")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(6):
        pillow.effect_noise((400, 300), 20 + 20 * number).convert("RGB").save(photos / f"noise{number}.png")

    done = _run([sys.executable, "-m", "examples.photos", "--photos", str(photos)], ROOT, out=tmp_path / "out")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "102 jobs: 102 done, 0 failed, 0 lost" in done.stdout
    assert "recovered from a killed process" in done.stdout
    assert (tmp_path / "out" / "contact-sheet.html").stat().st_size > 10_000
    assert pillow.open(tmp_path / "out" / "contact-sheet.png").size[0] == 1152


def _run(command: list[str], folder: Path, out: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    if out:
        environment |= {"PHOTOS_OUT": str(out), "LEVERET_BROKER_URL": f"sqlite:///{out.parent}/queue.db"}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
