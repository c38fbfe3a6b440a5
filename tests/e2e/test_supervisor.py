"""Real supervisors, real children, real deaths; the worker is the tiny one of `entries.py`."""

import os
import signal
import sys
import time

import pytest
from tests.e2e.harness import Bench, alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forkserver, pidfd and /proc")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_node_works_and_stops_in_order(bench: Bench, method: str) -> None:
    ids = bench.send("sleep:0.01", 20)

    node = bench.node(processes=2, method=method)

    node.expect("ready")
    bench.until(lambda: len(bench.history("done")) == 20)
    began = time.monotonic()
    assert node.stop() == 0
    assert time.monotonic() - began < 1.5
    assert {line[1] for line in bench.history("start")} == set(ids)
    assert len(bench.history("import")) == (1 if method == "fork" else 2)
    assert not [pid for _, pid, *_ in bench.history("child") if alive(int(pid))]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize(
    ("task", "reason"),
    [("kill", "signal_9_(SIGKILL)"), ("segfault", "signal_11_(SIGSEGV)"), ("exit:3", "exit_3"), ("exit:0", "exit_0")],
)
def test_a_killer_runs_three_times_and_its_neighbours_are_not_charged(
    bench: Bench, task: str, reason: str, method: str
) -> None:
    neighbours = bench.send("sleep:0.01", 5)
    killer = bench.send(task)[0]
    neighbours += bench.send("sleep:0.01", 5)

    node = bench.node({"TEST_CREDIT": "11"}, processes=1, method=method)

    bench.until(lambda: bool(bench.history("parked", killer)) and len(bench.history("done")) == 10)
    assert len(bench.history("start", killer)) == 3
    assert bench.history("parked", killer)[0][2] == "+".join([reason] * 3)
    assert {line[3] for id in neighbours for line in bench.history("start", id)} == {"0"}
    assert node.stop() == 0


def test_a_killed_childs_task_starts_again_within_a_second(bench: Bench) -> None:
    node = bench.node(processes=2)
    node.expect("ready")
    id = bench.send("sleep:0.8")[0]
    bench.until(lambda: bool(bench.history("start", id)))
    pid = int(bench.history("start", id)[0][2])

    os.kill(pid, signal.SIGKILL)

    assert bench.until(lambda: len(bench.history("start", id)) == 2) < 1.0
    assert node.expect("death", pid=pid)["reason"] == "signal 9 (SIGKILL)"
    bench.until(lambda: bool(bench.history("done", id)))
    assert bench.history("start", id)[1][3] == "1"


def test_a_death_is_seen_at_once_while_a_grandchild_holds_every_descriptor(bench: Bench) -> None:
    node = bench.node(processes=1)
    node.expect("ready")

    id = bench.send("fork_and_die")[0]

    bench.until(lambda: len(bench.history("start", id)) == 2)
    first, second = (float(line[-1]) for line in bench.history("start", id)[:2])
    assert second - first < 1.0


def test_what_a_task_forks_does_not_hold_the_line_open(bench: Bench) -> None:
    node = bench.node(processes=1)
    node.expect("ready")
    bench.send("python_fork")
    bench.until(lambda: bool(bench.history("done")))

    node.end()

    assert bench.until(lambda: bool(bench.history("orphan"))) < 1.0


def test_what_a_task_executes_can_be_terminated(bench: Bench) -> None:
    node = bench.node(processes=1)
    node.expect("ready")

    bench.send("terminate_subprocess")

    bench.until(lambda: bool(bench.history("terminated")))
    assert bench.history("terminated")[0][1] == str(-signal.SIGTERM)


def test_the_death_of_the_forkserver_costs_nothing(bench: Bench) -> None:
    node = bench.node(processes=2)
    node.expect("ready")
    forkserver = int(bench.history("import")[0][1])
    long = bench.send("sleep:1.5")[0]
    bench.until(lambda: bool(bench.history("start", long)))

    os.kill(forkserver, signal.SIGKILL)
    node.expect("log", text="the forkserver died")
    bench.until(lambda: len(bench.history("import")) == 2)
    killer = bench.send("kill")[0]

    # Children of the dead forkserver are adopted, so their exit status is still known.
    assert node.expect("death")["reason"] == "signal 9 (SIGKILL)"
    bench.until(lambda: bool(bench.history("parked", killer)))
    bench.until(lambda: bool(bench.history("done", long)))
    assert len(bench.history("start", long)) == 1
    assert node.stop() == 0


def test_children_are_gone_within_two_seconds_of_their_supervisor(bench: Bench) -> None:
    node = bench.node(processes=2)
    pids = node.expect("ready")["pids"]
    forkserver = int(bench.history("import")[0][1])

    node.process.kill()

    bench.until(lambda: not any(alive(pid) for pid in [*pids, forkserver]), timeout=2.0)


def test_a_node_started_again_takes_over_its_predecessors_work(bench: Bench) -> None:
    node = bench.node(processes=1, name="same@host")
    node.expect("ready")
    id = bench.send("sleep:1")[0]
    bench.until(lambda: bool(bench.history("start", id)))
    node.end()
    pid = int(bench.history("start", id)[0][2])
    bench.until(lambda: not alive(pid))

    bench.node(processes=1, name="same@host")

    assert bench.until(lambda: len(bench.history("start", id)) == 2) < 5.0


def test_unstarted_work_of_a_stopped_child_starts_elsewhere(bench: Bench) -> None:
    node = bench.node({"TEST_CREDIT": "21"}, processes=1, stall_seconds=2.0)
    node.expect("ready")
    ids = bench.send("sleep:1", 1) + bench.send("sleep:0.01", 20)
    bench.until(lambda: bool(bench.history("start", ids[0])))
    pid = int(bench.history("start", ids[0])[0][2])
    os.kill(pid, signal.SIGSTOP)
    other = bench.node(processes=1, name="other@test")

    node.expect("log", text="does not answer while a task runs")

    bench.until(lambda: all(bench.history("done", id) for id in ids[1:]))
    assert len(bench.history("start", ids[0])) == 1
    os.kill(pid, signal.SIGCONT)
    node.expect("log", text="answers again")
    bench.until(lambda: bool(bench.history("done", ids[0])))
    bench.until(lambda: not alive(pid))
    assert all(len(bench.history("start", id)) == 1 for id in ids)
    assert (node.stop(), other.stop()) == (0, 0)


def test_a_stopped_child_that_runs_nothing_is_replaced(bench: Bench) -> None:
    node = bench.node(processes=1, stall_seconds=2.0)
    pid = node.expect("ready")["pids"][0]

    os.kill(pid, signal.SIGSTOP)

    assert node.expect("death", pid=pid)["reason"] == "stuck"
    bench.send("sleep:0.01")
    bench.until(lambda: len(bench.history("done")) == 1)


def test_a_time_limit_that_the_child_cannot_conclude_is_charged(bench: Bench) -> None:
    node = bench.node({"TEST_LIMIT": "1"}, processes=1)
    node.expect("ready")
    id = bench.send("sleep:30")[0]
    bench.until(lambda: bool(bench.history("start", id)))

    os.kill(int(bench.history("start", id)[0][2]), signal.SIGSTOP)

    assert node.expect("death")["reason"] == "time limit"
    bench.until(lambda: len(bench.history("start", id)) == 2)


def test_with_several_slots_suspects_are_tried_alone(bench: Bench) -> None:
    neighbours = bench.send("sleep:0.3", 3)
    killer = bench.send("kill")[0]
    node = bench.node(processes=1, slots=4, pool="threads")

    bench.until(lambda: bool(bench.history("parked", killer)) and len(bench.history("done")) >= 3, timeout=40)

    assert len(bench.history("start", killer)) <= 4
    assert {line[3] for id in neighbours for line in bench.history("start", id)} == {"0"}
    bench.until(lambda: all(bench.history("done", id) for id in neighbours))
    assert any(line[2] == "quarantine" for line in bench.history("child"))
    assert node.stop() == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize(("what", "text"), [("error", "no module named 'nowhere'"), ("exit", "the app left")])
def test_an_app_that_does_not_import_ends_the_node_with_its_traceback(
    bench: Bench, what: str, text: str, method: str
) -> None:
    node = bench.node({"TEST_IMPORT": what}, processes=2, method=method)

    assert text in node.expect("log", level="error", text="gives up")["error"]
    node.expect("over", code=1)
    assert node.process.wait(5) == 1


@pytest.mark.parametrize(
    ("environment", "method"),
    [({"TEST_IMPORT": "crash"}, "fork"), ({"TEST_IMPORT": "crash"}, "spawn"), ({"TEST_RUN": "exit"}, "fork")],
)
def test_a_crash_loop_at_start_is_given_up(bench: Bench, environment: dict[str, str], method: str) -> None:
    node = bench.node(
        environment, processes=1, method=method, restart={"first_delay": 0.01, "ceiling": 0.05, "give_up_after": 5}
    )

    assert "5 times in a row" in node.expect("log", level="error", text="gives up")["error"]
    assert node.process.wait(5) == 1


@pytest.mark.parametrize(("what", "found"), [("thread", "thread from-import"), ("socket", "connected socket")])
def test_what_a_fork_would_break_is_named_and_children_are_spawned(bench: Bench, what: str, found: str) -> None:
    node = bench.node({"TEST_IMPORT": what}, processes=1)

    assert found in node.expect("log", text="children are spawned")["found"]
    node.expect("ready")
    assert len(bench.history("import")) == 2
    assert node.stop() == 0


def test_who_leaves_is_replaced_while_its_neighbours_still_run(bench: Bench) -> None:
    node = bench.node(processes=1, slots=2, pool="threads")
    node.expect("ready")
    leaving = bench.send("leave:3")[0]
    bench.until(lambda: bool(bench.history("start", leaving)))

    ids = bench.send("sleep:0.01", 3)

    assert bench.until(lambda: all(bench.history("done", id) for id in ids)) < 2.0
    assert len(bench.history("child")) == 2
    assert not bench.history("done", leaving)
    bench.until(lambda: bool(bench.history("done", leaving)))
    assert node.stop() == 0


def test_a_warm_stop_finishes_what_runs_and_gives_back_the_rest(bench: Bench) -> None:
    node = bench.node({"TEST_CREDIT": "5"}, processes=1, say_every_seconds=0.3)
    node.expect("ready")
    ids = bench.send("sleep:1", 5)
    bench.until(lambda: bool(bench.history("start")))

    node.process.send_signal(signal.SIGTERM)

    assert "--soft-shutdown-timeout" in node.expect("log", text="still waiting")["end"]
    assert node.expect("waiting")["names"][0].startswith("sleep:1[")
    assert node.process.wait(5) == 0
    assert len(bench.history("done")) == 1
    again = bench.node(processes=2)
    bench.until(lambda: len(bench.history("done")) == 5)
    assert all(len(bench.history("start", id)) == 1 for id in ids)
    assert again.stop() == 0


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGQUIT])
def test_the_second_signal_stops_now_and_charges_nobody(bench: Bench, second: int) -> None:
    node = bench.node(processes=1, say_every_seconds=0.1)
    node.expect("ready")
    id = bench.send("sleep:30")[0]
    bench.until(lambda: bool(bench.history("start", id)))

    node.process.send_signal(signal.SIGINT)
    node.expect("waiting")
    assert node.stop(second, timeout=3) == 0

    bench.node(processes=1)
    bench.until(lambda: len(bench.history("start", id)) == 2)
    assert bench.history("start", id)[1][3] == "0"


def test_a_soft_shutdown_waits_that_long(bench: Bench) -> None:
    node = bench.node(processes=1, soft_shutdown_timeout=3.0)
    node.expect("ready")
    short = bench.send("sleep:1")[0]
    bench.until(lambda: bool(bench.history("start", short)))

    assert node.stop(signal.SIGQUIT, timeout=4) == 0

    assert bench.history("done", short)


def test_hangup_imports_the_code_again_and_replaces_every_child(bench: Bench) -> None:
    node = bench.node(processes=2)
    before = node.expect("ready")["pids"]
    id = bench.send("sleep:1")[0]
    bench.until(lambda: bool(bench.history("start", id)))

    node.process.send_signal(signal.SIGHUP)

    node.expect("log", text="every worker process was replaced")
    assert len(bench.history("import")) == 2
    bench.until(lambda: not any(alive(pid) for pid in before))
    assert len(bench.history("start", id)) == len(bench.history("done", id)) == 1
    assert node.stop() == 0


def test_user_signal_one_dumps_the_childrens_stacks(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    node = bench.node(processes=1)
    node.expect("ready")

    node.process.send_signal(signal.SIGUSR1)

    heard = ""

    def dumped() -> bool:
        nonlocal heard
        heard += capfd.readouterr().err
        return "entries.py" in heard

    bench.until(dumped, timeout=5)
    assert node.stop() == 0
