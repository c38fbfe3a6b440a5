"""What a limit cannot be is refused where it is written."""

import pytest

from leveret import CircuitBreaker, Concurrency, Rate, RetryBudget
from leveret.errors import ImproperlyConfigured
from leveret.model.limiting.pace import counted, per_second


@pytest.mark.parametrize(
    ("rate", "expected"), [("10/s", 10.0), ("30/m", 0.5), ("36/h", 0.01), (2, 2.0), ("2.5", 2.5), (None, 0.0), (0, 0.0)]
)
def test_a_rate_is_read_as_celery_writes_it(rate, expected):
    assert per_second(rate) == expected


@pytest.mark.parametrize("rate", ["10/d", "fast", "-1/s", "inf", "nan/s", True, "/s", "1/s/s"])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(ValueError):
        counted(rate)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Rate("10/d"), "Rate('10/d')"),
        (lambda: Rate(0), "Rate(0)"),
        (lambda: Rate("-3/s"), "Rate('-3/s')"),
        (lambda: Rate([]), "Rate([])"),
        (lambda: Rate("1/s", burst=0), "burst=0"),
        (lambda: Rate("1/s", burst=1.5), "burst=1.5"),
        (lambda: Rate("1/s", key="to"), "key='to'"),
        (lambda: Concurrency(0), "Concurrency(0)"),
        (lambda: Concurrency("5"), "Concurrency('5')"),
        (lambda: Concurrency(True), "Concurrency(True)"),
        (lambda: Concurrency(5, key=3), "key=3"),
        (lambda: CircuitBreaker(failures=0), "failures=0"),
        (lambda: CircuitBreaker(within=-1), "within=-1"),
        (lambda: CircuitBreaker(recover="30"), "recover='30'"),
        (lambda: CircuitBreaker(key="host"), "key='host'"),
        (lambda: RetryBudget(share=-0.1), "share=-0.1"),
        (lambda: RetryBudget(per_second=0), "per_second=0"),
    ],
)
def test_a_bad_value_is_named_with_what_would_be_right(make, said):
    with pytest.raises(ImproperlyConfigured, match="expected") as caught:
        make()

    assert said in str(caught.value)
