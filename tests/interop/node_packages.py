"""npm's Celery clients, installed once into a folder of the user's cache and found there by every later run."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).with_name("node")
PACKAGES = ("celery-node", "celery-ts", "node-celery")


def node_packages() -> Path:
    """The `node_modules` folder. Skips the test where Node.js or the packages cannot be had (in CI: fails)."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        _missing("Node.js is not installed; see https://nodejs.org, or: sudo apt-get install nodejs npm")
    lock = HERE / "package-lock.json"
    name = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leveret" / f"interop-node-{name}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (cache / "installed").exists():
            _install(str(npm), cache)
    return cache / "node_modules"


def _install(npm: str, cache: Path) -> None:
    for file in ("package.json", "package-lock.json"):
        shutil.copy(HERE / file, cache)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode:
        _missing(f"{', '.join(PACKAGES)} is not installed; npm ci: {done.stderr[-500:]}")
    (cache / "installed").touch()


def _missing(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
