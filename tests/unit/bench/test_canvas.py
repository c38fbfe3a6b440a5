"""What was measured of compositions, held against what is promised."""

from typing import Any

from bench.against import canvas


def rows(**figures: float) -> dict[str, Any]:
    return {"rounds": {"leveret": [figures] * 3}, "ratios": {"celery": 17.0}}


def test_each_promise_is_held_against_its_measurement_and_what_was_left_out_promises_nothing() -> None:
    large = rows(sent_seconds=0.2, body_after_seconds=1.5, node_peak_mb=50.0, peak_mb=80.0)
    content = {"chord of 1,000": rows(), "group of 5,000 sent": rows(), "chord of 10,000": large}

    figures = canvas.promises(content)

    missed = [figure.name for figure in figures if not figure.holds]
    assert len(figures) == 6
    assert missed == [
        "group of 5,000 sent: rate over that of Celery",
        "chord of 10,000: from its last member's end to its body's start",
    ]


def test_a_chain_is_held_against_its_promise_on_both_media() -> None:
    content = {"chain of 1,000": rows(per_second=999.0), "chain of 1,000 on SQLite": rows(per_second=1001.0)}

    assert [figure.holds for figure in canvas.promises(content)] == [False, True]
