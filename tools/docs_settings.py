"""Write docs/reference/settings.md from the table of settings; `--check` only compares."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leveret.config.row import Mark, Row
from leveret.config.settings import DEFAULTS, LOG_FORMAT, TASK_LOG_FORMAT
from leveret.config.table import GROUPS, OLD_NAMES, ROWS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "settings.md"

HEAD = """\
# Settings

<!-- Written by tools/docs_settings.py from src/leveret/config/table*.py; change it there. -->

Every setting of Celery 5.7 under its own name, and Leveret's own (marked *ours*). Set them on `app.conf`, in the
constructor, in an object, module or Django namespace (`app.conf.config_from_object`), as `LEVERET_<NAME>` in the
environment, or by the options of `leveret worker`. `leveret config` prints each value and where it came from,
strongest first: command line, environment, code, object or file, default. Durations are seconds or `timedelta`.

Old names (`CELERYD_CONCURRENCY`, `CELERY_TASK_SERIALIZER`, `CELERYBEAT_SCHEDULE` ...) mean the new ones. A setting
marked *not needed here* or *not yet* logs one line when a worker starts, and never fails.
"""

FOOT = """\

## Old names

Names in capitals with Celery's old prefixes are read by rule (`CELERY_X` is `x` or `task_x`, `CELERYD_X` is
`worker_x`, `CELERYBEAT_X` is `beat_x`); these are the exceptions.

| old | now |
|---|---|
"""

DEFAULTS_IN_WORDS = {
    "broker_url": "`.leveret/queue.db` of the project",
    "task_default_queue": '`"default"`',
    "worker_concurrency": "the CPUs it may use",
    "worker_prefetch_multiplier": "adaptive",
    "result_backend": "the broker's own store",
}


def page() -> str:
    """The whole page."""
    counts = ", ".join(f"{sum(row.mark is mark for row in ROWS.values())} {mark.value}" for mark in Mark)
    parts = [HEAD, f"\nOf {len(ROWS)} names: {counts}.\n"]
    for title, rows in GROUPS.items():
        parts.append(f"\n## {title}\n\n| setting | default | | |\n|---|---|---|---|\n")
        parts += [_line(row) for row in rows]
    parts.append(FOOT)
    parts += [f"| `{old.upper()}` | `{new}` |\n" for old, new in sorted(OLD_NAMES.items())]
    return "".join(parts)


def _line(row: Row) -> str:
    mark = f"{row.mark.value}, *ours*" if row.ours else row.mark.value
    return f"| `{row.name}` | {_default(row)} | {mark} | {row.note.replace('|', chr(92) + '|')} |\n"


def _default(row: Row) -> str:
    if row.name in DEFAULTS_IN_WORDS:
        return DEFAULTS_IN_WORDS[row.name]
    value: Any = DEFAULTS[row.name] if row.honoured else row.default
    if value in (LOG_FORMAT, TASK_LOG_FORMAT):
        return "Celery's"
    return f"`{_shortened(value)}`"


def _shortened(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return f"{int(value)}"
    return repr(value).replace("|", "\\|")


def main(arguments: list[str]) -> Iterator[str]:
    if "--check" not in arguments:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != page():
        yield f"{PAGE.name} is not what the table says: run python tools/docs_settings.py"


if __name__ == "__main__":
    complaints = list(main(sys.argv[1:]))
    print("\n".join(complaints), end="")
    sys.exit(bool(complaints))
