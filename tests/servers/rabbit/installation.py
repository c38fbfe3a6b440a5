"""Where RabbitMQ is installed, and a view of it that starts in a third of the time."""

import os
import re
import shutil
from pathlib import Path

PATTERNS = ("/usr/lib/rabbitmq/lib/rabbitmq_server-*", "/opt/homebrew/opt/rabbitmq", "/usr/local/opt/rabbitmq")
# What RabbitMQ uses without saying so: mnesia is started by hand, and cuttlefish reads its arguments with getopt.
ALWAYS = ("rabbit", "mnesia", "getopt")


def find_rabbitmq() -> Path | None:
    """Find the folder that has RabbitMQ's `sbin` and `plugins`: $RABBITMQ_HOME, a distribution's, or that of $PATH."""
    given = os.environ.get("RABBITMQ_HOME")
    found = [Path(given)] if given else []
    for pattern in PATTERNS:
        found += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
    command = shutil.which("rabbitmq-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if command:
        # Debian's command there is a wrapper that changes the user; it has no plugins beside it, and is left out.
        found.append(Path(command).resolve().parent.parent)
    return next((home for home in found if (home / "sbin/rabbitmq-env").exists() and (home / "plugins").is_dir()), None)


def _version(home: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", home.name)))


def trim(home: Path, view: Path, plugins: tuple[str, ...]) -> Path:
    """Link the installation into `view`: only those plugins and what they need, and all their modules in one folder.

    Erlang looks for each of 900 modules in every library's folder in turn: with all seventy plugins, as installed,
    that is 52,000 looks and most of the time it takes to start.
    """
    (view / "plugins").mkdir(parents=True)
    (view / "modules").mkdir()
    for name in ("sbin", "escript"):
        if (home / name).exists():
            (view / name).symlink_to(home / name)
    own, libraries = _by_name(home / "plugins"), _by_name(_erlang_libraries())
    if unknown := [name for name in plugins if name not in own]:
        raise ValueError(f"{home} has no plugin {', '.join(unknown)}")
    for name, folder in _needed((*ALWAYS, *plugins), libraries | own).items():
        if name in own:
            (view / "plugins" / folder.name).symlink_to(folder)
        for module in folder.glob("ebin/*.beam"):
            (view / "modules" / module.name).symlink_to(module)
    return view


def _erlang_libraries() -> Path:
    """Find Erlang's own libraries, beside the `bin` that has `erl`."""
    return Path(shutil.which("erl") or "/usr/lib/erlang/bin/erl").resolve().parent.parent / "lib"


def _by_name(folder: Path) -> dict[str, Path]:
    """List the applications of a folder, without those that Erlang always loads itself."""
    found = {path.name.rpartition("-")[0]: path for path in sorted(folder.glob("*-*/"))}
    return {name: path for name, path in found.items() if name not in ("kernel", "stdlib")}


def _needed(roots: tuple[str, ...], available: dict[str, Path]) -> dict[str, Path]:
    needed = [name for name in roots if name in available]
    for name in needed:
        needed += [
            other for other in _applications(available[name], name) if other in available and other not in needed
        ]
    return {name: available[name] for name in needed}


def _applications(folder: Path, name: str) -> list[str]:
    """Read which applications an Erlang application asks for."""
    description = (folder / "ebin" / f"{name}.app").read_text()
    lists = re.findall(r"\{\s*(?:included_)?applications\s*,\s*\[([^\]]*)\]", description)
    return [word for text in lists for word in re.findall(r"[a-z]\w*", text)]
