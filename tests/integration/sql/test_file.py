"""The file itself: who may use it, which versions, what a damaged one says."""

import asyncio
import multiprocessing
import sqlite3
import subprocess
import sys

import pytest
from tests.integration.sql.rig import claim, counts, node, open_driver, posting, send, session, task_id

from leveret.errors import ImproperlyConfigured, OperationalError, PublishFailed
from leveret.links.sql import schema
from leveret.links.sql.schema import check, migrate
from leveret.model.delivery import Verdict
from leveret.model.settlement import Commitment


def test_every_file_of_a_new_queue_is_private(tmp_path):
    driver = open_driver(tmp_path / "new")
    send(driver, "a")

    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}

    assert set(modes.values()) == {0o600}
    assert "queue.db-wal" in modes


ALONE = """
import fcntl, sys
SHARED_FIRST, SHARED_SIZE = 0x40000002, 510  # sqlite3's os.h
with open(sys.argv[1], "r+b") as file:
    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, SHARED_SIZE, SHARED_FIRST)
"""
"""Raises while any connection to the file is open: what SQLite itself asks before it deletes the log at a last close."""


@pytest.mark.skipif(sys.platform == "win32", reason="locks of files there are of their handles")
def test_a_second_driver_of_a_process_does_not_end_the_locks_of_the_first(tmp_path):
    first = open_driver(tmp_path)
    send(first, "a")
    second = open_driver(tmp_path)
    send(second, "b")

    asked = subprocess.run([sys.executable, "-c", ALONE, tmp_path / "queue.db"], capture_output=True, text=True)

    assert "BlockingIOError" in asked.stderr, asked.stderr or "nobody holds a lock"
    first.close()
    second.close()


def test_nothing_is_opened_before_it_is_needed(tmp_path):
    driver = open_driver(tmp_path / "new")
    driver.broker(), driver.blocking(), driver.backend(), driver.admin()

    assert not (tmp_path / "new").exists()
    assert driver.address == str(tmp_path / "new" / "queue.db")


def test_a_file_of_a_newer_version_is_refused(tmp_path):
    send(open_driver(tmp_path), "a")
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        raw.execute("PRAGMA user_version = 99")

    with pytest.raises(ImproperlyConfigured, match="newer Leveret \\(schema 99"):
        send(open_driver(tmp_path), "b")


def test_another_programs_database_is_refused_and_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        raw.execute("CREATE TABLE theirs (x)")

    with pytest.raises(ImproperlyConfigured, match="another program's database"):
        send(open_driver(tmp_path), "a")

    with sqlite3.connect(tmp_path / "queue.db") as raw:
        assert raw.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_file_that_is_no_database_says_so(tmp_path):
    (tmp_path / "queue.db").write_bytes(b"not a database at all, but long enough to be read as one" * 50)

    with pytest.raises(PublishFailed, match="damaged or no database"):
        send(open_driver(tmp_path), "a")
    with pytest.raises(OperationalError, match="Move it away"):
        asyncio.run(open_driver(tmp_path).admin().counts())


@pytest.mark.parametrize("blob", [b"", b"\xff\xfe no message", b"\x80"])
def test_a_damaged_row_is_handed_over_and_can_be_parked(tmp_path, blob):
    driver = open_driver(tmp_path)
    send(driver, "damaged", "whole")
    with sqlite3.connect(tmp_path / "queue.db") as raw:
        raw.execute("UPDATE messages SET encoded = ? WHERE id = 'damaged'", (blob,))

    async def work():
        here = node("w1")
        await driver.leases().register(here, (session("s1", here),))
        damaged, whole = await driver.broker().claim(claim("s1", 1))
        assert (damaged.encoded.body, task_id(whole)) == (blob, "whole")
        await driver.broker().settle((Commitment(receipt=damaged.receipt, verdict=Verdict.REJECT, reason="damaged"),))
        (letter,) = await driver.admin().dead()
        await driver.broker().close()
        return letter

    letter = asyncio.run(work())
    assert (letter.id, letter.encoded.body) == ("damaged", blob)


def _send_one(folder, name):
    send(open_driver(folder), name)


@pytest.mark.parametrize("moment", [1, 2, 3])
def test_a_schema_made_at_any_moment_of_the_look_is_ours(tmp_path, moment, monkeypatch):
    # Whoever looks cannot go on while the other waits for him: both are in this thread.
    monkeypatch.setattr(schema, "PATIENCE_SECONDS", 0.2)
    path = tmp_path / "queue.db"
    raw, other = (sqlite3.connect(path, timeout=0.1, isolation_level=None) for _ in range(2))
    statements = []

    def at_statement(text):
        statements.append(text)
        if len(statements) == moment:
            migrate(other, path, lambda: True, lambda: None)

    raw.set_trace_callback(at_statement)

    assert check(raw, path) in (0, check(other, path))


def test_processes_that_start_together_make_one_schema(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_send_one, args=(tmp_path, f"t{n}")) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0] * 4
    assert counts(open_driver(tmp_path)) == (4, 0, 0, 0)


def test_a_queue_locked_by_another_program_fails_within_the_deadline(tmp_path):
    driver = open_driver(tmp_path)
    send(driver, "a")
    other = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(PublishFailed, match="nothing was sent.*locked"):
        driver.blocking().publish((posting("b"),), timeout=0.2)
    other.execute("ROLLBACK")

    send(driver, "c")
    assert counts(driver) == (2, 0, 0, 0)


def test_an_old_sqlite_says_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.34.1")

    with pytest.raises(ImproperlyConfigured, match="SQLite 3.34.1 is too old: 3.35.0 or newer"):
        send(open_driver(tmp_path), "a")
