"""What differs from one SQL server to the next. Statements stand in `queries/`, one a file, named like the method
that runs them; a dialect's own folder inside it wins over the common one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    minimum: tuple[int, ...]
    """The oldest version of the server that has what the statements use."""
    migrations: tuple[str, ...]
    """In order; the schema's version is how many of them have been run."""


SQLITE = Dialect(
    "sqlite",
    (3, 35, 0),
    ("0001.sql", "0002.sql", "0003.sql", "0004.sql", "0005.sql", "0006.sql", "0007.sql", "0008.sql", "0009.sql"),
)
"""3.35 (March 2021) brought RETURNING."""


class Statements(dict[str, str]):
    """Statement texts by name, each read when first asked for. A plain dict look-up on the hot path."""

    def __init__(self, read: Callable[[str], str]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, name: str) -> str:
        text = self[name] = self._read(name)
        return text


@cache
def statements(dialect: Dialect) -> Statements:
    folder = files(__package__) / "queries"

    def read(name: str) -> str:
        own = folder / dialect.name / f"{name}.sql"
        return (own if own.is_file() else folder / f"{name}.sql").read_text(encoding="utf-8")

    return Statements(read)


def migration(name: str) -> str:
    return (files(__package__) / "migrations" / name).read_text(encoding="utf-8")
