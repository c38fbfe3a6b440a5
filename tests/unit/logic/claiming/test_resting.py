from collections import Counter

from leveret.logic.claiming.resting import LEAST_SECONDS, MOST_SECONDS, PER_SECOND, Line


def test_a_few_come_back_in_a_second_or_so() -> None:
    for now in (100.0, 100.2, 100.9):
        line = Line()

        delays = [line.delay(now) for _ in range(10)]

        assert min(delays) >= LEAST_SECONDS and max(delays) <= LEAST_SECONDS + 1.0


def test_many_come_back_in_lumps_at_whole_seconds() -> None:
    line, now = Line(), 100.25

    due = Counter(now + line.delay(now) for _ in range(10_000))

    assert all(moment == int(moment) for moment in due)
    assert max(due.values()) <= PER_SECOND + 1
    assert len(due) == 10_000 / PER_SECOND + 1


def test_those_that_come_back_go_to_the_end_of_the_line() -> None:
    line, now = Line(), 0.0
    due = sorted(now + line.delay(now) for _ in range(5_000))
    looks = 0

    while due[0] < 60.0:
        now = due.pop(0)
        looks += 1
        due.append(now + line.delay(now))

    assert looks <= 61 * PER_SECOND


def test_nobody_waits_for_ever() -> None:
    line = Line()

    assert max(line.delay(0.0) for _ in range(int(2 * MOST_SECONDS * PER_SECOND))) == MOST_SECONDS
