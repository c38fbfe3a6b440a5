"""The schema's version, and the steps to it."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from leveret.errors import ImproperlyConfigured, StoreBusy
from leveret.links.sql.dialects import SQLITE, migration

APPLICATION_ID = 0x4C565254
"""`LVRT`: tells our file from another program's database."""
PATIENCE_SECONDS = 10.0
_LOOK = (
    "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master) "
    "FROM pragma_user_version, pragma_application_id"
)


def migrate(raw: sqlite3.Connection, path: Path, take_turn: Callable[[], bool], end_turn: Callable[[], None]) -> None:
    """Bring the file to this version's schema, one process at a time."""
    newest = len(SQLITE.migrations)
    if check(raw, path) == newest:
        return
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not _migrate_in_turn(raw, path, take_turn, end_turn):
        if time.monotonic() > deadline:
            raise StoreBusy(f"{path} stayed locked while its schema had to be made")
        time.sleep(0.01)


def _migrate_in_turn(
    raw: sqlite3.Connection, path: Path, take_turn: Callable[[], bool], end_turn: Callable[[], None]
) -> bool:
    """False when somebody else is at it."""
    if not take_turn():
        return False
    try:
        if check(raw, path) == 0:
            # Both must come before the first table. Freed pages can be given back to the file system only so.
            raw.execute("PRAGMA auto_vacuum = INCREMENTAL")
            raw.execute("PRAGMA journal_mode = WAL")
        raw.execute("BEGIN IMMEDIATE")
        _run_steps(raw, check(raw, path))
        raw.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        return False
    finally:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        end_turn()
    return True


def _run_steps(raw: sqlite3.Connection, done: int) -> None:
    """Run what is missing inside the caller's transaction (`executescript` would end it)."""
    for number in range(done, len(SQLITE.migrations)):
        statement = ""
        for line in migration(SQLITE.migrations[number]).splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                raw.execute(statement)
                statement = ""
        raw.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        raw.execute(f"PRAGMA user_version = {number + 1}")


def check(raw: sqlite3.Connection, path: Path) -> int:
    """Answer the file's version; refuse a file that is not ours or comes from a newer Leveret."""
    # One statement sees one commit: another process may be making the schema.
    version, owner, tables = map(int, raw.execute(_LOOK).fetchone())
    if owner != APPLICATION_ID and (version or tables):
        raise ImproperlyConfigured(f"{path} is another program's database: give Leveret a file of its own")
    newest = len(SQLITE.migrations)
    if version > newest:
        raise ImproperlyConfigured(
            f"{path} was written by a newer Leveret (schema {version}, this one knows {newest}): "
            "update this installation, or use another file"
        )
    return version
