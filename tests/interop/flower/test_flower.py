"""Real Flower on a cluster of ours: it shows what is true, and its buttons do what they say (issue 7, must hold 1)."""

import time

from tests.interop.flower.conftest import NODE
from tests.interop.flower.pages import Pages
from tests.interop.sides.lines import tag
from tests.interop.sides.processes import WorkerProcess, until
from tests.interop.sides.sites import Site


def test_flower_shows_and_steers_our_worker(site: Site, worker: WorkerProcess, pages: Pages) -> None:
    """One cluster for all, since Flower and a browser take longer to start than each of these."""
    tasks_are_shown(site, pages)
    a_waiting_retry_is_revoked(site, pages)
    a_running_task_is_terminated(site, pages)
    pool_grows_and_shrinks(pages)
    queues_come_and_go(site, pages)
    limits_are_set(pages)
    worker_is_shut_down(worker, pages)


def tasks_are_shown(site: Site, pages: Pages) -> None:
    client = site.client("celery")
    good = client.send_task("interop.add", (2, 3), queue="jobs")
    bad = client.send_task("interop.fail", ("ValueError", "broken"), queue="jobs")
    shown = pages.until_task(good.id, Status="SUCCESS", Name="interop.add", Result="5")
    assert "2" in shown["Arguments"] and "3" in shown["Arguments"], shown
    assert shown["Worker"] == NODE, shown
    assert "Runtime" in shown and "Received" in shown, shown
    failed = pages.until_task(bad.id, Status="FAILURE", Name="interop.fail")
    assert "ValueError" in failed["Exception"], failed
    assert "broken" in failed["Traceback"], failed
    row = pages.task_row(good.id)
    assert row.items() >= {"name": "interop.add", "state": "SUCCESS", "worker": NODE}.items(), row
    assert row["runtime"].endswith("s"), row
    pages.until_worker(NODE, Processed="2", Failed="1", Succeeded="1", Active="0")


def a_waiting_retry_is_revoked(site: Site, pages: Pages) -> None:
    waits = site.client("celery").send_task("interop.retry", (1, 15), queue="jobs")
    pages.until_task(waits.id, Status="RETRY")
    pages.end_task(waits.id, "revoke")
    until(lambda: waits.state == "REVOKED", 40, lambda: waits.state)


def a_running_task_is_terminated(site: Site, pages: Pages) -> None:
    client, start = site.client("celery"), time.monotonic()
    runs = client.send_task("interop.sleep", (60,), queue="jobs")
    pages.until_task(runs.id, Status="STARTED")
    pages.worker(NODE, "tasks")
    assert pages.page.locator("#tab-tasks", has_text=runs.id).count(), "active tasks do not name it"
    pages.end_task(runs.id, "terminate")
    until(lambda: runs.state == "REVOKED", 20, lambda: runs.state)
    pages.until_task(runs.id, Status="REVOKED")
    assert time.monotonic() - start < 50
    assert client.send_task("interop.add", (1, 1), queue="jobs").get(timeout=20) == 2


def pool_grows_and_shrinks(pages: Pages) -> None:
    assert processes(pages) == 2
    pages.press("worker-pool-grow", pool_size=1)
    pages.expect_toast(f"Growing '{NODE}' worker's pool by 1")
    until(lambda: processes(pages) == 3, 20)
    pages.press("worker-pool-shrink", pool_size=1)
    pages.expect_toast(f"Shrinking '{NODE}' worker's pool by 1")
    until(lambda: processes(pages) == 2, 20)


def processes(pages: Pages) -> int:
    pages.worker(NODE, "pool")
    return len(pages.table("pool")["Processes"].strip("[]").split(","))


def queues_come_and_go(site: Site, pages: Pages) -> None:
    pages.worker(NODE, "queues")
    assert list(pages.table("queues")) == ["jobs"]
    pages.press("worker-add-consumer", add_consumer_name="extra")
    pages.expect_toast("add consumer extra")
    client = site.client("celery")
    assert client.send_task("interop.same", (tag_ := tag(),), queue="extra").get(timeout=20) == tag_
    until(lambda: "extra" in queues(pages), 20)
    pages.press("worker-cancel-consumer-extra")
    pages.expect_toast("no longer consuming from extra")
    until(lambda: queues(pages) == ["jobs"], 20)
    left = client.send_task("interop.same", (1,), queue="extra")
    assert client.send_task("interop.add", (1, 2), queue="jobs").get(timeout=20) == 3
    assert left.state == "PENDING"


def queues(pages: Pages) -> list[str]:
    pages.worker(NODE, "queues")
    return list(pages.table("queues"))


def limits_are_set(pages: Pages) -> None:
    pages.worker(NODE, "limits")
    row = pages.page.locator("#limits-table tr", has_text="interop.echo")
    row.locator('input[aria-label^="Rate limit"]').fill("100")
    pages.press("task-rate-limit-interop.echo")
    pages.expect_toast("new rate limit set successfully")
    row.locator('input[aria-label^="Timeout"]').fill("30")
    pages.press("task-timeout-soft-interop.echo")
    pages.expect_toast("time limits set successfully")


def worker_is_shut_down(worker: WorkerProcess, pages: Pages) -> None:
    pages.worker(NODE, "pool")
    pages.page.locator("#worker-group").click()
    pages.press("worker-shutdown")
    pages.expect_toast("Shutting down!")
    assert worker.process.wait(20) == 0
    pages.until_worker(NODE, Status="Offline")
