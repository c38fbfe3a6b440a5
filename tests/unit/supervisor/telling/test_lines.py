"""StatsD's lines: legal whatever a task is called, and true to what was counted."""

import re
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leveret.model.telling.tally import BUCKETS, TaskTally
from leveret.supervisor.telling.lines import PACKET_BYTES, Dialect, packets, since, timings


def tally(*runtimes: float, task: str = "shop.add", outcome: str = "succeeded") -> TaskTally:
    buckets = [0] * (len(BUCKETS) + 1)
    for runtime in runtimes:
        buckets[bisect_left(BUCKETS, runtime)] += 1
    return TaskTally(task, outcome, sum(runtimes), tuple(buckets))


def test_labels_are_parts_of_the_name_or_tags() -> None:
    plain = Dialect(prefix="shop.queue")
    tagged = Dialect(prefix="", tags=True, everywhere={"node": "w1@host"})

    assert plain.runs([tally(0.25)]) == [
        b"shop.queue.tasks.shop.add.succeeded:1|c",
        b"shop.queue.task_runtime.shop.add.succeeded:250|ms",
    ]
    assert tagged.runs([tally(0.25)]) == [
        b"tasks:1|c|#node:w1_host,task:shop.add,outcome:succeeded",
        b"task_runtime:250|ms|#node:w1_host,task:shop.add,outcome:succeeded",
    ]


def test_many_runs_of_one_bucket_are_one_line_with_a_rate() -> None:
    assert Dialect().runs([tally(0.2, 0.2, 0.14, 0.16)]) == [
        b"leveret.tasks.shop.add.succeeded:4|c",
        b"leveret.task_runtime.shop.add.succeeded:175|ms|@0.25",
    ]


@pytest.mark.parametrize("tags", [False, True])
@given(task=st.text(min_size=1, max_size=255), queue=st.text(max_size=80))
def test_whatever_a_task_is_called_the_line_is_one_line_of_statsd(tags: bool, task: str, queue: str) -> None:
    line = Dialect(tags=tags).line("tasks", {"task": task, "queue": queue}, 2.5, "g").decode()

    form = r"leveret\.tasks:2\.5\|g\|#task:[^|#,\s]+,queue:[^|#,\s]*" if tags else r"leveret\.tasks\.[^:|@\s]+:2\.5\|g"
    assert re.fullmatch(form, line), line


@given(st.lists(st.floats(min_value=0, max_value=5_000), min_size=1, max_size=60))
def test_timings_are_in_their_buckets_and_add_up(runtimes: list[float]) -> None:
    counted = tally(*runtimes)

    told = timings(counted)

    assert sum(count for _, count in told) == len(runtimes)
    assert sum(seconds * count for seconds, count in told) == pytest.approx(sum(runtimes), rel=1e-9, abs=1e-9)
    for seconds, count in told:
        near = {bisect_left(BUCKETS, seconds * (1 - 1e-12)), bisect_left(BUCKETS, seconds * (1 + 1e-12))}
        assert any(counted.buckets[bucket] == count for bucket in near | {bucket + 1 for bucket in near})


def test_only_what_was_added_is_told() -> None:
    before = [tally(0.1), tally(1.0, task="other")]
    now = [tally(0.1, 0.3), tally(1.0, task="other"), tally(2.0, outcome="failed")]

    added = since(before, now)

    assert [(one.task, one.outcome, one.count) for one in added] == [
        ("shop.add", "succeeded", 1),
        ("shop.add", "failed", 1),
    ]
    assert added[0].seconds == pytest.approx(0.3)
    assert since(now, now) == []


def test_lines_share_packets_that_fit_a_frame() -> None:
    lines = [b"x" * size for size in (700, 700, 100, 2_000, 1)]

    made = packets(lines)

    assert b"\n".join(made).split(b"\n") == lines
    assert [len(packet) for packet in made] == [1401, 100, 2000, 1]
    assert all(len(packet) <= PACKET_BYTES or b"\n" not in packet for packet in made)
