"""A rate that a process keeps by itself."""

from hypothesis import given
from hypothesis import strategies as st

from leveret.logic.limiting.bucket import Bucket


def test_those_who_wait_are_told_moments_of_their_own():
    bucket = Bucket(0.1)

    assert bucket.take(50.0) == 0.0
    told = [round(bucket.take(50.0), 3) for _ in range(3)]

    assert told == sorted(told)
    assert all(0.09 <= after - before <= 0.11 for before, after in zip(told, told[1:], strict=False))


def test_whoever_comes_a_little_late_does_not_slow_it_down():
    bucket, now, starts = Bucket(0.1), 100.0, 0
    while now < 110.0:
        wait = bucket.take(now)
        starts += wait == 0.0
        now += 0.013

    assert starts >= 98


@given(st.lists(st.floats(0.0, 0.5), min_size=5, max_size=200))
def test_no_second_sees_more_than_the_rate_and_two(gaps):
    bucket, now, starts = Bucket(0.1), 1000.0, list[float]()
    for gap in gaps:
        now += gap
        if bucket.take(now) == 0.0:
            starts.append(now)

    assert all(sum(start <= other < start + 1.0 for other in starts) <= 12 for start in starts)
