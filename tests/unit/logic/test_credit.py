import pytest

from leveret.logic.credit import MOST, Credit


def quick_batches(credit, batches, runtime=0.000_01):
    for _ in range(batches):
        size = credit.per_slot
        credit.begin(["a"])
        for _ in range(size):
            credit.ran("a", runtime)
        credit.end(size * runtime)


def test_doubles_after_quick_batches_up_to_200():
    credit, seen = Credit(), []
    for _ in range(10):
        seen.append(credit.per_slot)
        quick_batches(credit, 1)
    # The first batch meets a task that was never timed.
    assert seen == [1, 2, 4, 8, 16, 32, 64, 128, 200, 200]


def test_never_holds_more_than_25_milliseconds_of_work():
    credit = Credit()
    quick_batches(credit, 12, runtime=0.001)
    assert credit.per_slot == 25


def test_long_tasks_get_one_at_a_time():
    credit = Credit()
    quick_batches(credit, 12)
    quick_batches(credit, 1, runtime=0.4)
    assert credit.per_slot == 1


def test_a_rare_long_task_does_not_stop_the_short_ones():
    credit = Credit()
    for n in range(400):
        credit.begin(["a"])
        credit.ran("a", 0.4 if n % 41 == 40 else 0.001)
        credit.end(0.001)
    assert credit.per_slot == 25


def test_an_untimed_task_and_an_idle_spell_start_over():
    credit = Credit()
    quick_batches(credit, 12)
    credit.begin(["a", "new"])
    assert credit.per_slot == 1
    credit.ran("new", 0.000_01)
    quick_batches(credit, 12)
    credit.rest()
    assert credit.per_slot == 1


def test_the_multiplier_is_obeyed():
    credit = Credit(4)
    quick_batches(credit, 3, runtime=1.0)
    assert credit.per_slot == 4
    assert Credit(0).per_slot == 200
    with pytest.raises(ValueError, match="-1"):
        Credit(-1)


def test_what_a_gate_sends_back_takes_no_credit():
    credit = Credit()
    for _ in range(10):
        credit.let_in(())
    assert credit.per_slot == MOST

    credit.let_in({"new"})

    assert credit.per_slot == 1
