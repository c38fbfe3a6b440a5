"""What of a SQLite file, and the disk it lies on, will hurt."""

import os
import shutil
import sqlite3
from pathlib import Path

from leveret.links.sql.connection import Connection
from leveret.links.sql.database import Database
from leveret.model.insight.finding import ERROR, WARNING, Finding
from leveret.ports.clock import Clock

WAL_BYTES = 256 << 20
"""A log that no checkpoint empties: somebody reads for hours, or copies the file."""
SHORT_BYTES, LOW_BYTES = 200 << 20, 1 << 30
OLD = (3, 37, 0)
LAPSED_SECONDS = 60.0
"""A lease that has been over for so long, and nobody saw it."""


def examine(database: Database, clock: Clock) -> tuple[Finding, ...]:
    """Raises what opening the file raises: a network file system, another program's database."""
    lapsed, journal = database.read(lambda connection: _read(connection, clock.now()))
    path = database.path
    return (*_file(path, database.wal_path), *_library(path), *_journal(path, journal), *_lapsed(path, lapsed))


def _read(connection: Connection, now: float) -> tuple[tuple[str, ...], str]:
    rows = connection.execute("lapsed_nodes", (now - LAPSED_SECONDS,)).fetchall()
    return tuple(name for (name,) in rows), str(connection.pragma("journal_mode"))


def _file(path: Path, wal: Path) -> list[Finding]:
    found: list[Finding] = []
    for one in (path, path.parent):
        if not os.access(one, os.W_OK):
            found.append(
                Finding(
                    severity=ERROR,
                    check="file-not-writable",
                    where=str(one),
                    text="this user may not write it",
                    change=f"chown {_user()} {one}",
                )
            )
    if wal.exists() and (size := wal.stat().st_size) > WAL_BYTES:
        found.append(
            Finding(
                severity=WARNING,
                check="wal-grows",
                where=str(wal),
                text=f"the log has {size >> 20} MiB: some process has the file open for reading and never ends",
                change=f"fuser -v {path}  # and end what is no node",
            )
        )
    free = shutil.disk_usage(path.parent).free
    if free < LOW_BYTES:
        found.append(
            Finding(
                severity=ERROR if free < SHORT_BYTES else WARNING,
                check="disk-full",
                where=str(path.parent),
                text=f"{free >> 20} MiB are free: a send fails when it is full",
                change="free some, or move the file",
            )
        )
    return found


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "<user>"


def _library(path: Path) -> list[Finding]:
    if sqlite3.sqlite_version_info >= OLD:
        return []
    return [
        Finding(
            severity=WARNING,
            check="library-old",
            where=f"SQLite {sqlite3.sqlite_version}",
            text="this library is from before 2022",
            change="update Python or the system's libsqlite3",
        )
    ]


def _journal(path: Path, mode: str) -> list[Finding]:
    if mode == "wal":
        return []
    return [
        Finding(
            severity=ERROR,
            check="journal-mode",
            where=str(path),
            text=f"its journal mode is {mode}: readers and writers stop each other",
            change="PRAGMA journal_mode = WAL",
        )
    ]


def _lapsed(path: Path, names: tuple[str, ...]) -> list[Finding]:
    return [
        Finding(
            severity=ERROR,
            check="stuck-session",
            where=f"node {name}",
            text="its lease ran out and nobody has given back what it held: no other node is alive to see it",
            change="leveret worker  # any node gives it back within seconds",
        )
        for name in names
    ]
