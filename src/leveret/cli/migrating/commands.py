"""Command lines of Celery in a project's other files (Procfile, units, compose files, scripts), option by option."""

import re
from collections.abc import Iterator
from pathlib import Path

from leveret.cli.main import VERBS
from leveret.cli.migrating.findings import COMMAND, Finding
from leveret.cli.worker import REFUSED, UNNEEDED
from leveret.cli.worker import command as worker
from leveret.config.row import Mark

_NAMES = (
    "Procfile*",
    "*.service",
    "*.sh",
    "*.yml",
    "*.yaml",
    "Makefile",
    "Dockerfile*",
    "supervisord.conf",
    "*.ini",
    "*.toml",
)
_LINE = re.compile(r"(?:^|[\s\"'/=\[])celery[\"',\s]+(?P<rest>[^\n]*)")
_CELERYS = frozenset(
    (
        *("worker", "beat", "events", "inspect", "control", "status", "purge", "call", "result", "report", "graph"),
        *("flower", "multi", "shell", "list", "migrate", "amqp", "logtool", "upgrade"),
    )
)
_INSTEAD = {
    "multi": "systemd or the container starts workers: docs/how-to/run-under-systemd.md",
    "shell": "python with the app imported",
    "amqp": "the broker's own tools",
    "list": "leveret queues",
}
_POOLS = {"gevent": "-P asyncio for async def tasks, -P threads for others", "eventlet": "-P asyncio or -P threads"}


def read_commands(folder: Path) -> Iterator[Finding]:
    """Every `celery ...` line in the folder and those right below it."""
    for pattern in _NAMES:
        for path in sorted((*folder.glob(pattern), *folder.glob(f"[!.]*/{pattern}"))):
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                continue
            for number, line in enumerate(text.replace("\\\n", "  ").splitlines(), 1):
                found = _LINE.search(line)
                if found:
                    yield from _judge(found["rest"], f"{path.relative_to(folder)}:{number}")


def _judge(rest: str, place: str) -> Iterator[Finding]:
    words = [word for part in rest.replace('"', " ").replace("'", " ").split() if (word := part.strip(",[]"))]
    verb = next((word for word in words if word in _CELERYS), None)
    if verb is None:
        return
    here = verb in VERBS
    yield Finding(
        kind=COMMAND,
        name=f"celery {verb}",
        mark=Mark.WORKS if here else Mark.NOT_YET,
        note="" if here else _INSTEAD.get(verb, "not here yet"),
        change=f"leveret {verb}" if here else "",
        places=(place,),
    )
    if verb == "worker":
        for word, value in zip(words, [*words[1:], ""], strict=True):
            yield from _option(word, value, place)


def _option(word: str, value: str, place: str) -> Iterator[Finding]:
    written, _, given = word.partition("=")
    if not written.startswith("-") or len(written) < 2:
        return
    if written in ("-P", "--pool") and (given or value) in _POOLS:
        pool = given or value
        yield Finding(
            kind=COMMAND,
            name=f"{written} {pool}",
            mark=Mark.DIFFERS,
            note="not offered",
            change=_POOLS[pool],
            places=(place,),
        )
        return
    parameter = next((one for one in worker.params if written in one.opts or written in one.secondary_opts), None)
    name = "" if parameter is None else parameter.name or ""
    if name in REFUSED:
        yield Finding(
            kind=COMMAND, name=written, mark=Mark.NOT_YET, note=REFUSED[name], change="remove it", places=(place,)
        )
    elif name in UNNEEDED:
        yield Finding(kind=COMMAND, name=written, mark=Mark.NOT_NEEDED, note=UNNEEDED[name], places=(place,))
