"""What was found in a program on Celery, one value per setting and per use."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from leveret.config.row import Mark

SETTING, DEFAULT, IMPORT, USE, TASK, COMMAND = "setting", "default", "import", "use", "task", "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`note` says how it is here, `change` what to write instead (empty: nothing); `places` are `file:line`."""

    kind: str
    name: str
    mark: Mark
    note: str = ""
    change: str = ""
    places: tuple[str, ...] = ()


def gathered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same thing found in several places is one finding."""
    found: dict[Finding, list[str]] = {}
    for one in findings:
        places = found.setdefault(replace(one, places=()), [])
        places += [place for place in one.places if place not in places]
    return tuple(replace(one, places=tuple(places)) for one, places in found.items())
