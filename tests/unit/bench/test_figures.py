"""How the bench turns runs into figures."""

from bench import rounds
from bench.drills.mixed import LONG
from bench.drills.runs import READY_SECONDS, SHORT, Run, longest_wait, out_of_order
from bench.drills.verdicts import Figure


def run(index: int, pid: int, start: float, end: float, seconds: float = SHORT) -> Run:
    return Run(index, pid, start, end, seconds)


def test_the_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    found: rounds.Rounds = {
        "leveret": [{"per_second": 100.0}, {"per_second": 10.0}, {"per_second": 90.0}],
        "huey": [{"per_second": 10.0}, {"per_second": 2.0}, {"per_second": 30.0}],
    }

    assert rounds.ratios(found) == {"huey": 5.0}


def test_without_ours_there_is_no_ratio() -> None:
    assert rounds.ratios({"celery": [{"per_second": 10.0}], "limit: consume": [{"per_second": 90.0}]}) == {}


def test_a_slot_that_idles_while_short_tasks_wait_is_found() -> None:
    runs = [run(0, 1, 0.0, 0.4, LONG), run(1, 2, 0.0, 0.001), run(2, 2, 0.201, 0.202), run(3, 1, 0.401, 0.402)]

    assert round(longest_wait(runs, slots=2), 3) == 0.2


def test_a_slot_with_nothing_left_to_run_is_no_wait() -> None:
    runs = [run(0, 2, 0.0, 0.001), run(1, 2, 0.002, 0.003), run(2, 1, 0.0, 0.4, LONG)]

    assert longest_wait(runs, slots=2) < 0.002


def test_a_slot_that_never_gets_a_task_while_short_ones_wait_is_found() -> None:
    runs = [run(0, 1, 0.0, 5.0, LONG), run(1, 1, 5.0, 5.001)]

    assert longest_wait(runs, slots=2) == 5.0 - READY_SECONDS


def test_a_process_that_comes_up_late_is_a_free_slot_after_a_second() -> None:
    runs = [run(0, 1, 0.0, 3.0, LONG), run(1, 2, 1.5, 1.501), run(2, 2, 1.501, 1.502)]

    assert longest_wait(runs, slots=2) == 1.5 - READY_SECONDS


def test_starts_out_of_order_are_counted() -> None:
    assert out_of_order([run(0, 1, 0, 1), run(2, 1, 1, 2), run(1, 1, 2, 3), run(3, 1, 3, 4)]) == 1


def test_a_figure_knows_which_side_of_its_limit_is_good() -> None:
    assert Figure("share", 95, 90, "%", at_least=True).holds
    assert not Figure("share", 95, 90, "%").holds
