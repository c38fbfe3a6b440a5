"""Flower as a process, and its pages as a person uses them, in a real browser."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.interop.sides.processes import LEVERET_APP, ROOT, until
from tests.servers.availability import chromium, require

PATIENCE_MS = 15_000


@contextmanager
def flower(places: Mapping[str, str], folder: Path) -> Iterator[str]:
    """Run `leveret flower`; gives the address of its pages."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--address=127.0.0.1", "--inspect_timeout=3000"]
    with (folder / "flower.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "leveret.cli", "flower", "-A", LEVERET_APP, *options],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "FLOWER_UNAUTHENTICATED_API": "1", **places},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: _answers(port), 60, lambda: (folder / "flower.log").read_text()[-3000:])
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def browser() -> Iterator[Any]:
    """A page of a headless Chromium."""
    require(chromium)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(chromium()), args=["--no-sandbox", "--disable-gpu"])
        page = opened.new_page()
        page.set_default_timeout(PATIENCE_MS)
        playwright.expect.set_options(timeout=PATIENCE_MS)
        yield page
        opened.close()


class Pages:
    """What the tests do on Flower's pages. Each method waits for what it asks for."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address = page, address

    def worker_row(self, name: str) -> dict[str, str]:
        """A line of the overview, by the titles of its columns."""
        self.page.goto(f"{self.address}/workers")
        row = self.page.locator("#workers-table tbody tr", has=self.page.locator(f'[title="{name}"]'))
        row.wait_for()
        titles = [t.strip() for t in self.page.locator("#workers-table thead th").all_text_contents()]
        return dict(zip(titles, (t.strip() for t in row.locator("td").all_inner_texts()), strict=False))

    def until_worker(self, name: str, **columns: str) -> None:
        """Wait until the overview says so."""
        until(lambda: columns.items() <= self.worker_row(name).items(), 30, lambda: self.worker_row(name))

    def task_row(self, id: str) -> dict[str, str]:
        """A line of the list of tasks; empty while there is none."""
        self.page.goto(f"{self.address}/tasks")
        self.page.locator("#tasks-table_info").wait_for()
        row = self.page.locator("#tasks-table tbody tr", has=self.page.locator(f'[title="{id}"]'))
        if not row.count():
            return {}
        titles = [self.page.locator("#tasks-table thead th").nth(i).get_attribute("data-column") for i in range(6)]
        return dict(zip(titles, (t.strip() for t in row.locator("td").all_inner_texts()), strict=False))

    def task(self, id: str) -> dict[str, str]:
        """A task's own page: what stands beside each word."""
        self.page.goto(f"{self.address}/task/{id}")
        rows = self.page.locator(".detail-row")
        return {
            rows.nth(i).locator("dt").text_content().strip(): rows.nth(i).locator("dd").inner_text().strip()
            for i in range(rows.count())
        }

    def until_task(self, id: str, **words: str) -> dict[str, str]:
        """Wait until a task's page has these words."""
        until(lambda: words.items() <= self.task(id).items(), 30, lambda: self.task(id))
        return self.task(id)

    def end_task(self, id: str, button: str) -> None:
        """Press `revoke` or `terminate` on a task's page."""
        self.page.goto(f"{self.address}/task/{id}")
        self.page.locator(f"#task-{button}").click()
        self.expect_toast(f"Revoked '{id}'")

    def worker(self, name: str, tab: str) -> None:
        """Open a worker's page on one of its tabs, anew."""
        self.page.goto(f"{self.address}/worker/{name}")
        self.page.locator(f"#worker-tab-{tab}").click()
        self.page.locator(f"#tab-{tab}").wait_for()

    def table(self, tab: str) -> dict[str, str]:
        """The pairs of the first table of an open tab."""
        rows = self.page.locator(f"#tab-{tab} table").first.locator("tbody tr")
        cells = [rows.nth(i).locator("td").all_inner_texts() for i in range(rows.count())]
        return {row[0].strip(): row[1].strip() for row in cells if len(row) > 1}

    def press(self, button: str, **fields: object) -> None:
        """Fill fields, by id, and press a button, by id."""
        for field, value in fields.items():
            self.page.locator(f"#{field.replace('_', '-')}").fill(str(value))
        self.page.locator(f'[id="{button}"]').click()

    def expect_toast(self, words: str) -> None:
        """The page says so, as a success."""
        toasts = self.page.locator(".toast")
        until(lambda: any(words in said for said in toasts.all_text_contents()), 15, toasts.all_text_contents)
        kind = toasts.filter(has_text=words).first.get_attribute("class")
        assert "text-bg-success" in kind, toasts.all_text_contents()
