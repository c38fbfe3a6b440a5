import random
from unittest.mock import patch

from celery.utils.time import get_exponential_backoff_interval

from leveret.logic.retry import backoff, delay, exhausted, reconnect_delay, retries_on
from leveret.model.task import RetryPolicy


def test_backoff_counts_as_celery_does():
    for factor in (1, 2, 7):
        for attempt in range(12):
            ours = backoff(factor, attempt, 600, None)
            assert ours == get_exponential_backoff_interval(factor, attempt, 600)


def test_full_jitter_draws_what_celery_draws():
    for jitter in (0.0, 0.25, 0.5, 0.999999):
        with patch.object(random, "randrange", lambda stop, jitter=jitter: int(jitter * stop)):
            assert backoff(1, 5, 600, jitter) == get_exponential_backoff_interval(1, 5, 600, full_jitter=True)


def test_a_countdown_in_retry_kwargs_replaces_the_default_delay():
    assert delay(RetryPolicy(default_retry_delay=9.0), 0, 0.5) == 9.0
    assert delay(RetryPolicy(retry_kwargs={"countdown": 0}), 0, 0.5) == 0.0


def test_backoff_beats_the_countdown_as_with_celery():
    policy = RetryPolicy(retry_backoff=True, retry_jitter=False, retry_kwargs={"countdown": 5})

    assert [delay(policy, attempt, 0.5) for attempt in range(3)] == [1.0, 2.0, 4.0]


def test_the_limit_is_the_policys_unless_retry_kwargs_has_its_own():
    assert [exhausted(RetryPolicy(max_retries=2), attempt) for attempt in range(4)] == [False, False, True, True]
    assert exhausted(RetryPolicy(max_retries=2, retry_kwargs={"max_retries": 5}), 4) is False
    assert exhausted(RetryPolicy(max_retries=None), 10_000) is False


def test_what_is_excluded_is_not_retried():
    policy = RetryPolicy(autoretry_for=(OSError,), dont_autoretry_for=(FileNotFoundError,))

    assert retries_on(policy, ConnectionError())
    assert not retries_on(policy, FileNotFoundError())
    assert not retries_on(policy, ValueError())


def test_a_lost_connection_is_asked_again_later_and_later():
    assert reconnect_delay(0, 0.0) > 0
    assert reconnect_delay(50, 0.999) <= 5.0
