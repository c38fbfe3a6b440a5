"""What a caller who waits is told."""

import pytest

from leveret.client.waiting import WaitFacts, explain

FILE = "/p/.leveret/queue.db"


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"consumers": ()}, f"no worker consumes queue 'q' of {FILE}"),
        ({"consumers": ("w1",), "ahead": 7}, f"7 messages wait in queue 'q' of {FILE}"),
        ({"consumers": ("w1",), "running_on": "w1@host"}, "it runs on w1@host"),
        ({"consumers": ("w1",), "next_try": 54.4}, "its next try is in 54 s"),
        ({"consumers": ("w1",), "unknown": "add", "next_try": 20.0}, "has a task 'add'; its message is parked"),
        ({"consumers": ("w1",), "dead": "undecodable"}, "its message is a dead letter (undecodable)"),
        ({"consumers": ("w1",), "ahead": 0}, "nothing waits in queue 'q'"),
    ],
)
def test_one_line_says_what_the_result_waits_for(facts: dict[str, object], says: str) -> None:
    line = explain("add[1]", "PENDING", WaitFacts(address=FILE, queue="q", **facts))  # type: ignore[arg-type]

    assert line.startswith("still waiting for the result of add[1] (PENDING): ")
    assert says in line
