import pytest

from leveret.logic.claiming.resting import LEAST_SECONDS, MOST_SECONDS, PER_SECOND, Line


def test_a_few_come_back_in_a_second_or_so() -> None:
    line = Line()

    delays = [line.delay(100.0) for _ in range(10)]

    assert delays[0] == LEAST_SECONDS
    assert delays[-1] < LEAST_SECONDS + 0.1


def test_many_come_back_one_after_the_other() -> None:
    line = Line()

    delays = [line.delay(100.0) for _ in range(10_000)]

    assert delays == sorted(delays)
    assert delays[-1] == pytest.approx(LEAST_SECONDS + 9_999 / PER_SECOND)


def test_those_that_come_back_go_to_the_end_of_the_line() -> None:
    line, now = Line(), 0.0
    due = sorted(now + line.delay(now) for _ in range(5_000))
    looks = 0

    while due[0] < 60.0:
        now = due.pop(0)
        looks += 1
        due.append(now + line.delay(now))

    assert looks <= 60 * PER_SECOND


def test_nobody_waits_for_ever() -> None:
    line = Line()

    assert max(line.delay(0.0) for _ in range(int(2 * MOST_SECONDS * PER_SECOND))) == MOST_SECONDS
