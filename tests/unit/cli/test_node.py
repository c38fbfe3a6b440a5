"""A node's size, name, queues, pid file and banner."""

import os
import subprocess
import sys

import pytest

from leveret.cli.node import plan
from leveret.cli.node.banner import Facts, banner
from leveret.cli.node.cpus import cgroup_quota, usable_cpus
from leveret.cli.node.name import node_name
from leveret.cli.node.pidfile import pidfile
from leveret.cli.node.plan import Plan, ask
from leveret.cli.node.planner import queue_names, unmatched_routes
from leveret.cli.node.queues import consumed_queues, split_names
from leveret.cli.node.start import layout
from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured, QueueNotFound
from leveret.logic.routing import Queue
from leveret.model.node import Node
from leveret.model.options import WorkerOptions


def groups(tmp_path, membership, **files):
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "groups" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "groups", tmp_path / "membership"


def test_a_quota_of_the_second_hierarchy_is_read_from_our_group_up(tmp_path):
    places = groups(tmp_path, "0::/a/b\n", a__cpu_DOT_max="150000 100000\n", a__b__cpu_DOT_max="max 100000\n")

    assert cgroup_quota(*places) == 1.5
    assert usable_cpus(*places) == min(2, len(os.sched_getaffinity(0)))


def test_a_group_that_is_named_as_the_host_sees_it_falls_back_to_the_root(tmp_path):
    places = groups(tmp_path, "0::/docker/123\n", cpu_DOT_max="50000 100000\n")

    assert cgroup_quota(*places) == 0.5
    assert usable_cpus(*places) == 1


def test_a_quota_of_the_first_hierarchy_is_read(tmp_path):
    membership = "4:memory:/x\n3:cpu,cpuacct:/x\n"
    quota, period = {"cpu__x__cpu_DOT_cfs_quota_us": "200000"}, {"cpu__x__cpu_DOT_cfs_period_us": "100000"}

    assert cgroup_quota(*groups(tmp_path, membership, **quota, **period)) == 2


def test_without_a_quota_the_affinity_counts(tmp_path):
    assert cgroup_quota(tmp_path, tmp_path / "missing") is None
    assert cgroup_quota(*groups(tmp_path, "0::/\n", cpu_DOT_max="max 100000\n")) is None


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (None, "leveret@web.example.org"),
        ("w1@%h", "w1@web.example.org"),
        ("w1@%n", "w1@web"),
        ("w1@%d", "w1@example.org"),
        ("w1", "w1@web.example.org"),
        ("w1@", "w1@web.example.org"),
        ("50%%@other", "50%@other"),
        ("w%x@%h", "w%x@web.example.org"),
    ],
)
def test_a_node_is_named_as_in_celery(given, name):
    assert node_name(given, "web.example.org") == name


@pytest.mark.parametrize(
    ("pool", "concurrency", "expected"),
    [("prefork", 4, (4, 1)), ("threads", 8, (1, 8)), ("asyncio", 500, (1, 500)), ("solo", 8, (1, 1))],
)
def test_prefork_has_a_slot_a_process_and_the_others_all_slots_in_one(pool, concurrency, expected):
    assert layout(pool, concurrency) == expected


def test_queues_are_chosen_listed_or_the_default_one():
    settings = Settings()

    assert consumed_queues(settings, (), (), ()) == ("default",)
    assert consumed_queues(settings, ("a", "b"), (), ()) == ("a", "b")
    assert consumed_queues(settings, ("a", "b"), (), ("a",)) == ("b",)
    assert consumed_queues(settings, ("a",), split_names(("c,a", "c")), ()) == ("c", "a")


def test_a_queue_that_is_not_listed_is_refused_where_none_may_be_created():
    settings = Settings(task_create_missing_queues=False)

    with pytest.raises(QueueNotFound, match="-Q photo: .*did you mean photos"):
        consumed_queues(settings, ("photos",), ("photo",), ())


def test_excluding_everything_is_refused():
    with pytest.raises(QueueNotFound, match="leaves no queue"):
        consumed_queues(Settings(), (), (), ("default",))


def test_queue_names_come_from_a_list_or_a_dict():
    assert queue_names([Queue("a"), "b"]) == ("a", "b")
    assert queue_names({"a": {}, "b": {}}) == ("a", "b")
    assert queue_names(None) == ()


def test_a_route_that_matches_no_task_is_named():
    routes = [{"photos.*": "photos", "mail.send": {"queue": "mail"}}, lambda *_: None]

    assert unmatched_routes(routes, ("photos.thumb",)) == ("task_routes: 'mail.send' matches no task",)
    assert unmatched_routes("package.router", ("photos.thumb",)) == ()


def test_a_pidfile_lives_as_long_as_the_worker(tmp_path):
    path = tmp_path / "w.pid"

    with pidfile(str(path)):
        assert int(path.read_text()) == os.getpid()

    assert not path.exists()


def test_a_pidfile_of_a_live_process_is_refused_and_a_stale_one_taken(tmp_path):
    path = tmp_path / "w.pid"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    path.write_text(str(gone.pid))
    with pidfile(str(path)):
        assert int(path.read_text()) == os.getpid()

    path.write_text(str(os.getppid()))
    with (
        pytest.raises(ImproperlyConfigured, match=f"belongs to process {os.getppid()}, which is alive"),
        pidfile(str(path)),
    ):
        pass
    assert path.read_text() == str(os.getppid())


def test_a_pidfile_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(ImproperlyConfigured, match="cannot be written"), pidfile(str(tmp_path / "no" / "w.pid")):
        pass


def shown(plan, **options):
    node = Node(name="w1@host", incarnation="i", boot="b", pid=1)
    facts = Facts(plan=plan, settings=Settings(), broker="/p/.leveret/queue.db", results="same", fused=True)
    return banner(WorkerOptions(node=node, app="tasks:app", **options), facts)


def test_the_banner_names_tasks_queues_path_and_budget():
    text = shown(Plan(app="tasks:app", name="shop", tasks=("a", "b", "celery.chain")), processes=3, queues=("x", "y"))

    assert "w1@host" in text
    assert "shop (tasks:app)" in text
    assert "/p/.leveret/queue.db" in text
    assert "x, y" in text
    assert "5 (3 x 1, and 2 for the supervisor)" in text
    assert "profile     leveret: 9 is the most urgent" in text
    assert "celery.chain" not in text


def test_the_banner_names_queues_that_tasks_go_to_and_this_worker_does_not_consume():
    text = shown(Plan(app="tasks:app", routed=("mail", "default")), queues=("default",))

    assert "not served  mail:" in text
    assert "tasks       none" in text


def test_the_banner_of_many_tasks_is_cut():
    text = shown(Plan(app="tasks:app", tasks=tuple(f"t{n:03}" for n in range(100))))

    assert "and 60 more" in text


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_child_that_cannot_even_be_imported_says_why(monkeypatch):
    monkeypatch.setattr(plan, "ENTRY", "leveret_that_is_nowhere.child")

    with pytest.raises(ImproperlyConfigured, match="No module named 'leveret_that_is_nowhere'"):
        ask("tasks:app", {}).answer()
