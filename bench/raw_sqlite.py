"""What SQLite gives on this machine, bare and through the driver: `python bench/raw_sqlite.py [what ...]`.

JSON lines: `rate` per second, `cpu_us` of all processes per message. `bare` is the least a queue on SQLite can do
(one table, MessagePack, claim by UPDATE ... RETURNING, result row, two processes); `driver` is the ports' verbs.
"""

import asyncio
import json
import multiprocessing as mp
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from leveret import Leveret
from leveret.brokers.sql.driver import SqlDriver
from leveret.model.delivery import Claim, Encoded, Posting, Verdict
from leveret.model.endpoint import Url
from leveret.model.node import Node, Session
from leveret.model.options import DriverOptions
from leveret.model.settlement import Commitment, Record
from leveret.wiring.clock import SystemClock

CLOCK = SystemClock()
OPTIONS = DriverOptions()
BODY = b'[[1, 2], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
META = b'{"status": "SUCCESS", "result": 3, "traceback": null, "children": [], "date_done": "2026-01-01T00:00:00"}'
QUEUE = "default"


def report(name: str, n: int, seconds: float, cpu: float) -> None:
    line = {"name": name, "n": n, "rate": round(n / seconds), "us": round(seconds / n * 1e6, 1)}
    print(json.dumps({**line, "cpu_us": round(cpu / n * 1e6, 1)}), flush=True)


def timed(name: str, n: int, run: Callable[[], Any]) -> float:
    cpu, start = time.process_time(), time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    report(name, n, seconds, time.process_time() - cpu)
    return seconds


def posting() -> Posting:
    id = CLOCK.new_id()
    headers = {"lang": "py", "task": "tasks.add", "id": id, "root_id": id, "retries": 0, "origin": "1@host"}
    return Posting(id=id, queue=QUEUE, encoded=Encoded(headers=headers, body=BODY, reply_to=None))


def postings(n: int) -> tuple[Posting, ...]:
    return tuple(posting() for _ in range(n))


def driver_at(folder: Path) -> SqlDriver:
    return SqlDriver(Url(f"sqlite:///{folder}/queue.db"), OPTIONS, CLOCK)


def fill(folder: Path, n: int) -> None:
    driver = driver_at(folder)
    for _ in range(0, n, 1000):
        driver.blocking().publish(postings(min(n, 1000)), timeout=10)
    driver.close()


# Publishing


def bare_commit(folder: Path) -> None:
    raw = sqlite3.connect(folder / "bare.db", isolation_level=None)
    raw.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)"
    )
    blob = os.urandom(400)
    for _ in range(50):
        raw.execute("INSERT INTO t (b) VALUES (?)", (blob,))
    driver = driver_at(folder)
    blocking = driver.blocking()
    ready = [(posting(),) for _ in range(2000)]
    blocking.publish(ready.pop(), timeout=10)
    ratios, rounds = [], 6
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(300):
            raw.execute("INSERT INTO t (b) VALUES (?)", (blob,))
        middle = time.perf_counter()
        for _ in range(300):
            blocking.publish(ready.pop(), timeout=10)
        end = time.perf_counter()
        ratios.append(round((end - middle) / (middle - start), 3))
        print(json.dumps({"bare_us": round((middle - start) / 300e-6), "driver_us": round((end - middle) / 300e-6)}))
    print(
        json.dumps(
            {"name": "one by one, driver / bare FULL commit", "ratios": ratios, "median": statistics.median(ratios)}
        )
    )


def delays(folder: Path) -> None:
    """The whole `delay()` beside the same bare commit, turn by turn in short blocks. `new file`: both logs grow;
    `long used`: both are written over."""
    raw = sqlite3.connect(folder / "bare.db", isolation_level=None)
    raw.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, b BLOB)"
    )
    blob = os.urandom(400)
    app = Leveret("bench", broker_url=f"sqlite:///{folder}/queue.db")

    @app.task(name="tasks.add")
    def add(x: int, y: int) -> int:
        return x + y

    def commit() -> None:
        raw.execute("INSERT INTO t (b) VALUES (?)", (blob,))

    def seconds(call: Callable[[], Any], block: int) -> float:
        start = time.perf_counter()
        for _ in range(block):
            call()
        return time.perf_counter() - start

    def send() -> None:
        add.delay(1, 2)

    def measure(name: str, block: int, pairs: int) -> None:
        rounds = []
        for turn in range(pairs):
            if turn % 2:
                bare, ours = seconds(commit, block), seconds(send, block)
            else:
                ours, bare = seconds(send, block), seconds(commit, block)
            rounds.append((bare, ours))
        bare_us, delay_us = (round(statistics.median(each) / block * 1e6) for each in zip(*rounds, strict=True))
        ratio = round(statistics.median(ours / bare for bare, ours in rounds), 3)
        figures = {"block": block, "bare_us": bare_us, "delay_us": delay_us, "median": ratio}
        print(json.dumps({"name": f"one by one, delay() / bare FULL commit, {name}", **figures}), flush=True)

    measure("new file", 20, 40)
    seconds(commit, 600)
    seconds(send, 600)
    measure("long used", 1, 3000)
    measure("long used", 20, 150)


def bulk(folder: Path) -> None:
    driver = driver_at(folder)
    batches = [postings(500) for _ in range(100)]
    blocking = driver.blocking()
    timed(
        "driver bulk publish, batches of 500, FULL", 50_000, lambda: [blocking.publish(b, timeout=10) for b in batches]
    )


# Claim and commit


def bare_worker(path: str, credit: int, answers: Any) -> None:
    raw = sqlite3.connect(path, isolation_level=None, timeout=30)
    raw.executescript("PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64000; PRAGMA wal_autocheckpoint=4000")
    claim = (
        "UPDATE task SET state=1, lease=? WHERE id IN (SELECT id FROM task WHERE state=0 AND queue='default' "
        "ORDER BY prio, id LIMIT ?) RETURNING id, key, body"
    )
    cpu, done, ended = time.process_time(), 0, []
    while True:
        raw.execute("BEGIN IMMEDIATE")
        if ended:
            raw.executemany("INSERT OR REPLACE INTO result VALUES (?, ?, 1e12)", [(key, META) for _, key in ended])
            raw.executemany("DELETE FROM task WHERE id=?", [(id,) for id, _ in ended])
        rows = raw.execute(claim, (1e12, credit)).fetchall()
        raw.execute("COMMIT")
        if not rows:
            break
        ended = [(id, key) for id, key, _ in rows]
        done += len(rows)
    answers.put((done, time.process_time() - cpu))


def driver_worker(path: str, credit: int, answers: Any) -> None:
    asyncio.run(drain(Path(path), credit, answers))


async def drain(folder: Path, credit: int, answers: Any) -> None:
    driver = driver_at(folder)
    broker = driver.broker()
    name = f"s{os.getpid()}"
    node = Node(name=name, incarnation=name, boot="b", pid=os.getpid(), queues=(QUEUE,))
    await driver.leases().register(node, (Session(id=name, node=name, incarnation=name, pid=os.getpid()),))
    cpu, done, number = time.process_time(), 0, 0
    spent = [0.0, 0.0]
    while True:
        number += 1
        t0 = time.perf_counter()
        deliveries = await broker.claim(Claim(session=name, queues=(QUEUE,), credit=credit, number=number))
        t1 = time.perf_counter()
        if not deliveries:
            break
        ended = tuple(
            Commitment(
                receipt=delivery.receipt,
                verdict=Verdict.ACK,
                record=Record(
                    id=delivery.encoded.headers["id"],
                    attempt=0,
                    state="SUCCESS",
                    meta=META,
                    terminal=True,
                    expires_after=86400.0,
                ),
            )
            for delivery in deliveries
        )
        t2 = time.perf_counter()
        await broker.commit(ended)
        spent[0] += t1 - t0
        spent[1] += time.perf_counter() - t2
        done += len(deliveries)
    answers.put((done, time.process_time() - cpu))
    if os.environ.get("SPENT"):
        print({"claim_us": spent[0] / done * 1e6, "commit_us": spent[1] / done * 1e6})


def two(name: str, n: int, worker: Callable[..., None], path: Path, credit: int, processes: int = 2) -> None:
    context = mp.get_context("spawn" if worker is driver_worker else "fork")
    answers = context.Queue()
    workers = [context.Process(target=worker, args=(str(path), credit, answers)) for _ in range(processes)]
    start = time.perf_counter()
    for process in workers:
        process.start()
    done = [answers.get() for _ in workers]
    seconds = time.perf_counter() - start
    for process in workers:
        process.join()
    report(f"{name}, {processes} processes, batch {credit}", sum(d for d, _ in done), seconds, sum(c for _, c in done))


def claims(folder: Path, n: int = 60_000, rounds: int = int(os.environ.get("ROUNDS", 3))) -> None:
    for turn in range(rounds):
        path = folder / f"bare{turn}.db"
        raw = sqlite3.connect(path, isolation_level=None)
        raw.executescript(
            "PRAGMA journal_mode=WAL; CREATE TABLE task (id INTEGER PRIMARY KEY, key TEXT, queue TEXT, prio INT DEFAULT 0, "
            "state INT DEFAULT 0, lease REAL, body BLOB); CREATE INDEX rdy ON task (queue, prio, id) WHERE state=0; "
            "CREATE TABLE result (id TEXT PRIMARY KEY, body BLOB, exp REAL) WITHOUT ROWID"
        )
        blob = os.urandom(300)
        raw.execute("BEGIN")
        rows = [(CLOCK.new_id(), blob) for _ in range(n)]
        raw.executemany("INSERT INTO task (key, queue, body) VALUES (?, 'default', ?)", rows)
        raw.execute("COMMIT")
        raw.close()
        two("bare claim+finish", n, bare_worker, path, 100)
        for credit in (100, 200):
            sub = folder / f"driver{turn}{credit}"
            fill(sub, n)
            two("driver claim+commit", n, driver_worker, sub, credit)


def main() -> None:
    wanted = sys.argv[1:] or ["one", "delay", "bulk", "claims"]
    table = {"one": bare_commit, "delay": delays, "bulk": bulk, "claims": claims}
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="leveret-raw-") as folder:
            table[name](Path(folder))


if __name__ == "__main__":
    main()
