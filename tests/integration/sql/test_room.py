"""Room behind the write-ahead log: there before it is needed, and never in SQLite's way."""

import os
import shutil
import sqlite3

import pytest
from tests.integration.sql.rig import counts, open_driver, send

from leveret.links.sql import room

FRAME = 24 + 4096


@pytest.fixture
def raw(tmp_path):
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)"
    )
    yield connection
    connection.close()


@pytest.fixture
def log(raw, tmp_path):
    descriptor = os.open(tmp_path / "a.db-wal", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def _insert(raw, rows=1):
    for _ in range(rows):
        raw.execute("INSERT INTO t (b) VALUES (zeroblob(300))")


def _make_room(raw, log):
    raw.execute("BEGIN IMMEDIATE")
    until = room.look(log)
    _insert(raw)
    raw.execute("COMMIT")
    return until


def _size(log):
    return os.fstat(log).st_size


def test_a_log_with_room_does_not_grow_until_the_next_look(raw, log):
    until = _make_room(raw, log)
    size = _size(log)
    _insert(raw, until - 1)

    assert until > 50
    assert _size(log) == size


def test_no_room_is_made_where_there_is_enough(raw, log):
    _make_room(raw, log)
    size = _size(log)
    _make_room(raw, log)
    raw.execute("PRAGMA wal_checkpoint(RESTART)")
    _insert(raw)

    until = _make_room(raw, log)

    assert _size(log) == size
    assert until > 50


def test_a_log_without_a_header_is_left_alone(raw, log):
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert room.look(log) == room.LEAST_FRAMES
    assert _size(log) == 0


def test_what_a_crash_leaves_is_read_to_its_last_commit(raw, log, tmp_path):
    _insert(raw, 20)
    for _ in range(3):
        _make_room(raw, log)
        _insert(raw, 150)
        (rows,) = raw.execute("SELECT count(*) FROM t").fetchone()
        for name in ("a.db", "a.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / name.replace("a.db", "b.db"))

        with sqlite3.connect(tmp_path / "b.db") as copy:
            assert copy.execute("SELECT count(*) FROM t").fetchone() == (rows,)
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        copy.close()


def test_single_publishes_make_room_as_they_go(tmp_path):
    driver = open_driver(tmp_path)
    sizes = set()
    for n in range(200):
        send(driver, f"m{n}")
        sizes.add((tmp_path / "queue.db-wal").stat().st_size)

    assert len(sizes) < 50
    assert counts(driver) == (200, 0, 0, 0)
