import pytest

from leveret.logic.window import MOST, Window


def opened(prefetch: int, taken: int = 0) -> Window:
    window = Window()
    window.change(prefetch)
    window.took(taken)
    return window


@pytest.mark.parametrize(("credit", "idle", "wanted"), [(1, 1, 1), (8, 8, 8), (40, 8, 8), (4, 0, 4)])
def test_a_closed_window_opens_for_the_idle_slots(credit: int, idle: int, wanted: int) -> None:
    assert Window().wanted(credit, idle, idle or credit) == wanted


@pytest.mark.parametrize("prefetch", [4, 5, 8])
def test_long_tasks_leave_it_alone_unless_it_is_far_too_wide(prefetch: int) -> None:
    assert opened(prefetch, 1000).wanted(4, 4, 4) == prefetch
    assert opened(9, 1000).wanted(4, 4, 4) == 4


def test_short_tasks_widen_it_in_steps_of_four_once_much_was_taken() -> None:
    window = opened(4)
    assert window.wanted(100, 4, 4) == 4

    window.took(31)
    assert window.wanted(100, 4, 4) == 4
    window.took(1)
    assert window.wanted(100, 4, 4) == 16

    window.change(16)
    window.took(63)
    assert window.wanted(100, 4, 4) == 16
    window.took(1)
    assert window.wanted(100, 4, 4) == 64


def test_it_is_never_wider_than_four_times_the_credit_nor_than_the_most() -> None:
    assert opened(16, 1000).wanted(20, 4, 4) == 64
    assert opened(32, 1000).wanted(20, 4, 4) == 80
    assert opened(200, 10_000).wanted(1000, 4, 4) == MOST
    assert opened(MOST, 10_000).wanted(1000, 4, 4) == MOST


def test_a_pause_forgets_what_was_taken() -> None:
    window = opened(64, 10_000)

    window.pause()
    assert window.prefetch == 0
    assert window.wanted(100, 4, 4) == 4
    window.change(4)

    assert window.wanted(100, 4, 4) == 4


@pytest.mark.parametrize("idle", [1, 2, 7, 64])
def test_it_settles_for_a_steady_worker(idle: int) -> None:
    for credit in (idle, 2 * idle, 8 * idle, 1000):
        window = Window()
        changes = 0
        for _ in range(500):
            wanted = window.wanted(credit, idle, idle or credit)
            if wanted != window.prefetch:
                changes += 1
                window.change(wanted)
            window.took(min(window.prefetch, credit))

        assert 1 <= window.prefetch <= max(MOST, idle)
        assert changes <= 6
