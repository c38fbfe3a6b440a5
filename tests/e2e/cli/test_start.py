"""`leveret worker` as people start it: a real node, in its own process group."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="starts and signals real processes")

COMMAND = (sys.executable, "-m", "leveret.cli")


@pytest.fixture
def start(project):
    """Start a command in the project's folder; whatever is left of it is killed."""
    started = []

    def begin(*arguments: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def ask(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
    return found


def test_a_worker_runs_what_was_called_and_stops_in_order(start, module, project):
    name = module()
    worker = start("worker", f"{name}:app", "-c", "1", "-n", "w1@%h", "-l", "info", "--pidfile", "w.pid")

    done = ask("call", "-A", name, "add", "2", "y=3", "--wait", "--timeout", "20")
    nodes = json.loads(ask("status", "-A", name, "--json").stdout)["nodes"]
    recorded = int((project / "w.pid").read_text())
    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=20)

    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    assert nodes[0]["name"].startswith("w1@")
    assert recorded == nodes[0]["pid"] == worker.pid
    assert worker.returncode == 0
    assert not (project / "w.pid").exists()
    assert str(project / ".leveret" / "queue.db") in out
    assert "succeeded" in err


def test_a_task_that_failed_is_exit_code_1(start, module):
    name = module("@app.task(name='wrong')\ndef wrong(): raise KeyError('here')\n")
    start("worker", "-A", name, "-c", "1", "-q")

    answer = ask("call", "-A", name, "wrong", "--wait", "-t", "20")

    assert answer.returncode == 1
    assert "KeyError" in answer.stdout


def test_burst_ends_when_the_queues_are_empty(start, module):
    name = module()
    ask("call", "-A", name, "add", "1")

    worker = start("worker", "-A", name, "-c", "1", "--burst")
    worker.communicate(timeout=30)

    assert worker.returncode == 0
    assert json.loads(ask("queues", "-A", name, "--json").stdout)[0]["ready"] == 0


def test_the_command_line_s_settings_reach_the_worker_processes(start, module, project):
    name = module("@app.task(name='told')\ndef told(): return [app.conf.task_serializer, app.conf.broker_url]\n")
    broker = f"sqlite:///{project}/other.db"
    start("worker", "-A", name, "-c", "1", "-q", "-b", broker, LEVERET_TASK_SERIALIZER="msgpack")

    answer = ask("call", "-A", name, "-b", broker, "told", "--wait", "-t", "20", "--json")

    assert json.loads(answer.stdout)["result"] == ["msgpack", broker]


def test_a_pool_follows_its_queues(start, module):
    body = "import os, time\n@app.task(name='nap')\ndef nap():\n    time.sleep(0.25)\n    return os.getpid()\n"
    name = module(body)
    worker = start("worker", "-A", name, "--autoscale", "3,1", "-l", "info", "-q")
    sends = f"from {name} import nap; rs = [nap.delay() for _ in range(36)]; print(len({{r.get() for r in rs}}))"

    done = subprocess.run([sys.executable, "-c", sends], capture_output=True, text=True, timeout=60, check=False)
    nodes = json.loads(ask("status", "-A", name, "--json").stdout)["nodes"]
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=20)

    assert done.stdout == "3\n", done.stderr + err
    assert "up to 3 slots by need" in ask("worker", "-A", name, "--autoscale", "3,1", "--check").stdout
    assert nodes[0]["slots"] == 3
    assert "the pool is resized [slots=3 before=2" in err


def test_a_process_that_holds_too_much_memory_is_replaced(start, module):
    body = "import os\nkept = []\n@app.task(name='hog')\ndef hog():\n    kept.append(b'x' * (60 << 20))\n    return os.getpid()\n"
    name = module(body)
    worker = start("worker", "-A", name, "-c", "1", "--max-memory-per-child", "100000", "-l", "info", "-q")
    sends = f"from {name} import hog; print([hog.delay().get(timeout=20) for _ in range(4)])"

    done = subprocess.run([sys.executable, "-c", sends], capture_output=True, text=True, timeout=60, check=False)
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=20)

    pids = json.loads(done.stdout)
    assert len(set(pids)) >= 2, "60 MB more each time, 100 are allowed"
    assert "reason=max memory per child" in err and "died" not in err


@pytest.mark.parametrize("given", ["3,9", "many", "0", "5,0"])
def test_limits_that_cannot_be_are_refused_at_the_start(module, given):
    answer = ask("worker", "-A", module(), "--autoscale", given)

    assert answer.returncode == 1
    assert "MAX,MIN" in answer.stderr


def test_the_app_is_imported_once_for_the_node(start, module, project):
    name = module("open('imports', 'a').write('x')\n")
    start("worker", "-A", name, "-c", "2", "-q")

    ask("call", "-A", name, "add", "1", "--wait", "-t", "20")
    (project / "imports").rename(project / "seen")

    # One by the forkserver, one by the `call` itself.
    assert (project / "seen").read_text() == "xx"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("-A", "no_such_module"), "no module named 'no_such_module'"),
        ((), "which app?"),
        (("-A", "broken"), "broken.py, line 1: ZeroDivisionError: division by zero"),
        (("-A", "leaves"), "leaves.py, line 1: SystemExit: 3"),
        (("-A", "good", "-P", "gevent"), "-P gevent is not offered"),
        (("-A", "good", "-P", "threds"), "did you mean 'threads'"),
        (("-A", "good", "-c", "none"), "worker_concurrency is 'none': it must be"),
        (("-A", "good", "-b", "sqlit:///x"), "did you mean 'sqlite'"),
        (("-A", "good", "-X", "default"), "leaves no queue"),
        (("-A", "good", "-b", "amqp://127.0.0.1:1", "--beat"), "a schedule needs a store that all schedulers share"),
        (("-A", "good", "--uid", "nobody"), "systemd (User=)"),
        (("-A", "good", "--gid=1"), "systemd (Group=)"),
        (("-A", "good", "--umask", "022"), "systemd (UMask=)"),
        (("-A", "good", "-l", "loud"), "loud"),
        (("-A", "good", "--pidfile", "no/such/folder/pid"), "--pidfile no/such/folder/pid cannot be written"),
    ],
)
def test_a_worker_that_cannot_start_says_why_in_one_line(module, project, words, error):
    module(name="good")
    (project / "broken.py").write_text("1 / 0\n")
    (project / "leaves.py").write_text("raise SystemExit(3)\n")

    answer = ask("worker", *words)

    assert answer.returncode in (1, 2)
    assert error in answer.stderr
    assert answer.stderr.count("\n") == 1, answer.stderr


def test_check_opens_everything_and_leaves(module, project):
    name = module("app.conf.worker_agent = 'x'\n")

    answer = ask("worker", "-A", name, "--check")

    assert answer.returncode == 0, answer.stderr
    assert "note: worker_agent is not needed here" in answer.stdout
    assert answer.stdout.endswith("ok: app, settings, broker and results are usable\n")


def test_settings_that_do_nothing_here_are_one_line_at_start(start, module):
    name = module("app.conf.update(worker_agent='x', result_failure_expires=1)\napp.conf.task_routes={'ad': 'x'}\n")

    _, err = start("worker", "-A", name, "-c", "1", "--burst", "-q", "--without-gossip").communicate(timeout=30)

    for text in (
        "worker_agent is not needed here",
        "result_failure_expires is not yet",
        "'ad' matches no task",
        "do not gossip",
    ):
        assert err.count(text) == 1, err


def test_purge_forgets_what_waits_in_its_queues_before_it_begins(start, module):
    name = module()
    ask("call", "-A", name, "add", "1")
    ask("call", "-A", name, "add", "1", "--queue", "other")

    worker = start("worker", "-A", name, "-c", "1", "--burst", "-q", "-l", "info", "--purge")
    _, err = worker.communicate(timeout=30)

    assert "purged 1 messages in default of /" in err
    assert "succeeded" not in err
    counts = {row["queue"]: row["ready"] for row in json.loads(ask("queues", "-A", name, "--json").stdout)}
    assert counts["default"] == 0 and counts["other"] == 1


def test_modules_named_on_the_command_line_are_imported(start, module, project):
    name = module()
    for extra in ("one", "two"):
        (project / f"{extra}.py").write_text(
            f"import {name} as m\n@m.app.task(name={extra!r})\ndef f(): return {extra!r}\n"
        )

    start("worker", "-A", name, "-c", "1", "-q", "-I", "one,two")
    answer = ask("call", "-A", name, "two", "--unregistered", "--wait", "-t", "20")

    assert answer.stdout.strip("'\n") == "two", answer


def test_the_settings_shape_the_log(start, module):
    name = module(
        "from leveret import get_task_logger\n"
        "app.conf.update(worker_log_format='<%(message)s>', worker_task_log_format='(%(task_name)s %(message)s)',\n"
        "    worker_redirect_stdouts_level='error')\n"
        "@app.task(name='told')\ndef told():\n    print('printed')\n    get_task_logger('x.y').info('logged')\n"
    )
    ask("call", "-A", name, "told")

    _, err = start("worker", "-A", name, "-c", "1", "--burst", "-q", "-l", "info").communicate(timeout=30)

    assert "(told printed)\n" in err and "(told logged)\n" in err, err
    assert re.search(r"^<Task told\[.*\] succeeded in .*>$", err, re.M), err


def test_json_lines_are_json_in_every_process(start, module):
    name = module("@app.task(name='told')\ndef told(): print('printed')\n")
    ask("call", "-A", name, "told")

    worker = start("worker", "-A", name, "-c", "1", "--burst", "-q", "-l", "info", "--log-json")
    _, err = worker.communicate(timeout=30)

    lines = [json.loads(line) for line in err.splitlines()]
    assert {"printed"} == {
        line["message"] for line in lines if line.get("task") == "told" and line["level"] == "WARNING"
    }
    assert all({"time", "level", "process", "logger", "message"} <= line.keys() for line in lines)


def test_an_app_may_start_its_own_worker(project, start):
    (project / "selfish.py").write_text(
        "from leveret import Leveret\napp = Leveret('selfish')\n"
        "@app.task\ndef add(x, y): return x + y\n"
        "if __name__ == '__main__':\n    app.worker_main(['worker', '-c', '1', '--burst', '-l', 'info'])\n"
    )
    ask("call", "-A", "selfish", "selfish.add", "1", "2")

    done = subprocess.run([sys.executable, "selfish.py"], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr
    assert "succeeded" in done.stderr
