"""The steps of the pipeline. Rows travel in files, what is found in them as values."""

import csv
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from leveret import Leveret, chord, group

OUT = Path(os.environ.get("PIPELINE_OUT", Path(__file__).parent / "out"))
COUNTRIES = ("DE", "FR", "GB", "US", "BR", "IN", "KY")
LIMIT = 900_000
"""Cents: what is above has to be reported."""

app = Leveret("pipeline", task_default_queue="pipeline")

Row = tuple[int, int, str, int]
"""Account, cents, country, hour."""


class StorageHiccup(Exception):
    """Stands for a network share that fails now and then."""


@app.task
def collect(part: int, rows: int) -> str:
    """Fetch one part of the day's transactions (here: invent them, some of them damaged)."""
    dice = random.Random(part)
    path = OUT / f"part-{part:03}.csv"
    with path.open("w", newline="") as file:
        write = csv.writer(file).writerow
        for _ in range(rows):
            cents = int(dice.lognormvariate(8.5, 1.6))
            country = dice.choice(COUNTRIES) if dice.random() > 0.002 else ""
            write((dice.randrange(5000), cents, country, dice.randrange(24)))
    return path.name


@app.task(bind=True, autoretry_for=(StorageHiccup,), max_retries=3, retry_backoff=1, retry_backoff_max=2)
def preprocess(self: Any, name: str) -> str:
    """Leave out what is damaged. The first attempt on one part fails, as storage does."""
    if name == "part-003.csv" and self.request.retries == 0:
        raise StorageHiccup("injected: the share was away for a moment")
    clean = OUT / name.replace(".csv", ".clean")
    with (OUT / name).open(newline="") as raw, clean.open("w", newline="") as file:
        csv.writer(file).writerows(row for row in csv.reader(raw) if row[2])
    return clean.name


@app.task
def fraud(name: str) -> dict[str, int]:
    """Accounts with many payments in one hour of the night."""
    nights = Counter((account, hour) for account, _, _, hour in rows_of(name) if hour < 5)
    return {"accounts": len({account for (account, _), times in nights.items() if times > 5})}


@app.task
def risk(name: str) -> dict[str, int]:
    """What is at stake, by the part's own measure."""
    amounts = sorted(cents for _, cents, _, _ in rows_of(name))
    return {"total": sum(amounts), "highest": amounts[-1], "rows": len(amounts)}


@app.task
def regulatory(name: str) -> dict[str, int]:
    """What the law wants to know of."""
    return dict(Counter(country for _, cents, country, _ in rows_of(name) if cents > LIMIT))


@app.task
def findings(checks: list[dict[str, int]], part: int) -> dict[str, Any]:
    """One part's three checks as one."""
    suspicious, stakes, reportable = checks
    return {"part": part, "fraud": suspicious["accounts"], **stakes, "reportable": reportable}


@app.task
def report(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """All parts as one."""
    reportable = sum((Counter(part["reportable"]) for part in parts), Counter[str]())
    return {
        "parts": [part["part"] for part in parts],
        "rows": sum(part["rows"] for part in parts),
        "total": sum(part["total"] for part in parts),
        "highest": max(part["highest"] for part in parts),
        "fraud": sum(part["fraud"] for part in parts),
        "reportable": dict(sorted(reportable.items())),
    }


@app.task
def notify(found: dict[str, Any]) -> dict[str, Any]:
    """Tell whoever has to know."""
    reportable = sum(found["reportable"].values())
    text = f"{found['rows']:,} transactions, {found['fraud']} suspicious accounts, {reportable} to report\n"
    (OUT / "note.txt").write_text(text)
    return found


def rows_of(name: str) -> list[Row]:
    with (OUT / name).open(newline="") as file:
        return [(int(account), int(cents), country, int(hour)) for account, cents, country, hour in csv.reader(file)]


def pipeline(parts: int, rows: int) -> Any:
    """Each part goes its own way; the report waits for all of them."""
    checks = group(fraud.s(), risk.s(), regulatory.s())
    header = [collect.si(part, rows) | preprocess.s() | checks | findings.s(part=part) for part in range(parts)]
    return chord(header, report.s()) | notify.s()
