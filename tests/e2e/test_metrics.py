"""A node's metrics: read by promtool and scraped by a real Prometheus, which also runs every query of the dashboard and
every alert rule; what tasks count themselves is summed over processes, dead ones included."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leveret import Leveret

ROOT = Path(__file__).parents[2]
OPERATIONS = ROOT / "examples" / "operations"
APP = """
import os, signal
from leveret import Leveret
from prometheus_client import Counter
app = Leveret("metered", broker=f"sqlite:///{os.environ['FOLDER']}/queue.db")
SOLD = Counter("sold_things", "Things sold.", ["kind"])

@app.task
def sell(number):
    SOLD.labels("tea").inc(number)
    return os.getpid()

@app.task
def bad():
    raise ValueError("no")

@app.task(max_retries=0)
def kill_once(path):
    if not os.path.exists(path):
        open(path, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def until(true: Any, timeout: float = 30.0, explain: Any = lambda: "") -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            if true():
                return
        except (OSError, ValueError):
            pass
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


class Metered:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "metered.py").write_text(APP)
        self.log = folder / "log"
        environment = {**os.environ, "FOLDER": str(folder), "PYTHONPATH": f"{folder}:{ROOT / 'src'}"}
        command = ["-A", "metered", "worker", "-c", "2", "-n", "m@node", "--metrics-port", str(self.port)]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "leveret.cli", *command],
                cwd=folder,
                env=environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self.app = Leveret("metered", broker=f"sqlite:///{folder}/queue.db", set_as_current=False)

    def metrics(self) -> str:
        return get(f"{self.url}/metrics")[1]

    def value(self, name: str, **labels: str) -> float | None:
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in self.metrics().splitlines():
            found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
            if found and wanted <= set(re.findall(r'\w+="[^"]*"', found[1] or "")):
                return float(found[2])
        return None


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Metered]:
    node = Metered(tmp_path_factory.mktemp("metered"))
    until(lambda: get(f"{node.url}/readyz")[0] == 200, explain=node.log.read_text)
    yield node
    os.killpg(node.process.pid, signal.SIGKILL)
    node.process.wait()


def test_a_node_says_that_it_lives_and_is_ready(node: Metered) -> None:
    assert get(f"{node.url}/healthz") == (200, "ok\n")
    assert get(f"{node.url}/readyz") == (200, "ok\n")
    assert get(f"{node.url}/nothing")[0] == 404


def test_runs_are_counted_by_task_and_outcome_and_users_metrics_survive_a_death(node: Metered) -> None:
    app = node.app
    for result in [app.send_task("metered.sell", (2,)) for _ in range(20)]:
        result.get(timeout=30)
    app.send_task("metered.bad")
    # What a killed process had not told yet is lost, at most a second of it; the user's own is in its file.
    until(lambda: node.value("leveret_tasks_total", task="metered.bad", outcome="failed") == 1, explain=node.metrics)
    app.send_task("metered.kill_once", (str(node.folder / "killed"),)).get(timeout=30)
    for result in [app.send_task("metered.sell", (1,)) for _ in range(10)]:
        result.get(timeout=30)

    succeeded = {"task": "metered.sell", "outcome": "succeeded"}
    until(lambda: (node.value("leveret_tasks_total", **succeeded) or 0) >= 30, explain=node.metrics)
    assert node.value("leveret_process_deaths_total", reason="signal 9 (SIGKILL)") == 1
    assert node.value("sold_things_total", kind="tea") == 50
    assert node.value("leveret_task_runtime_seconds_count", **succeeded) == node.value(
        "leveret_task_runtime_seconds_bucket", **succeeded, le="+Inf"
    )


def test_a_queue_that_nobody_consumes_and_how_long_it_has_waited(node: Metered) -> None:
    node.app.send_task("metered.sell", (1,), queue="forgotten")
    time.sleep(1.1)
    assert node.value("leveret_queue_messages", queue="forgotten", state="ready") == 1
    assert node.value("leveret_queue_consumers", queue="forgotten") == 0
    assert node.value("leveret_queue_consumers", queue="default") == 1
    assert 1.0 <= (node.value("leveret_queue_latency_seconds", queue="forgotten") or 0) < 60
    assert node.value("leveret_dead_letters", queue="default") == 0
    assert node.value("leveret_broker_up") == 1


def promtool(*words: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return subprocess.run([found, *words], input=given, capture_output=True, text=True, timeout=30)


def test_promtool_has_nothing_to_say_about_the_metrics(node: Metered) -> None:
    checked = promtool("check", "metrics", given=node.metrics())
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_alert_rules_are_rules() -> None:
    checked = promtool("check", "rules", str(OPERATIONS / "alerts.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_real_prometheus_answers_every_query_of_the_dashboard_and_every_rule(node: Metered, tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    node.app.send_task("metered.sell", (1,)).get(timeout=30)
    node.app.send_task("metered.sell", (1,), queue="forgotten")
    port = free_port()
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n"
        f"rule_files: ['{OPERATIONS / 'alerts.yml'}']\n"
        f"scrape_configs: [{{job_name: leveret, static_configs: [{{targets: ['127.0.0.1:{node.port}']}}]}}]\n"
    )
    command = [prometheus, f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    log = (tmp_path / "log").open("w")
    server = subprocess.Popen(
        [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=subprocess.STDOUT
    )
    try:

        def ask(query: str) -> list[Any]:
            _, text = get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}")
            answer = json.loads(text)
            assert answer["status"] == "success", (query, answer)
            return list(answer["data"]["result"])

        until(lambda: len(ask("count_over_time(leveret_tasks_total[1m]) > 3")) > 0)
        dashboard = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
        assert len(queries) >= 8
        for query in queries:
            filled = query.replace("$__rate_interval", "10s").replace("$node", ".*").replace("$queue", ".*")
            assert ask(filled), f"no data for {filled}"
        rules = json.loads(get(f"http://127.0.0.1:{port}/api/v1/rules")[1])["data"]["groups"][0]["rules"]
        until(
            lambda: all(
                rule["health"] == "ok"
                for rule in json.loads(get(f"http://127.0.0.1:{port}/api/v1/rules")[1])["data"]["groups"][0]["rules"]
            )
        )
        assert {rule["name"] for rule in rules} >= {
            "LeveretOldestMessageWaitsTooLong",
            "LeveretFailureRate",
            "LeveretQueueWithoutConsumer",
            "LeveretDeadLetters",
        }
        pending = {alert["labels"]["alertname"] for alert in ask('ALERTS{queue="forgotten"}') and _metrics(ask)}
        assert "LeveretQueueWithoutConsumer" in pending
    finally:
        server.terminate()
        server.wait(10)


def _metrics(ask: Any) -> list[Any]:
    return [{"labels": result["metric"]} for result in ask('ALERTS{queue="forgotten"}')]
