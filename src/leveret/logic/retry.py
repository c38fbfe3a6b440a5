"""When a failed run is tried again, and how long a lost connection waits. Chance comes in as `jitter` in [0, 1)."""

from leveret.model.task import RetryPolicy

_MOST_DOUBLINGS = 62


def backoff(factor: float, attempt: int, maximum: float, jitter: float | None) -> float:
    """Seconds as Celery's `get_exponential_backoff_interval` counts them: whole, at most `maximum`, full jitter.

    `jitter` None takes the whole interval.

    >>> [backoff(1, attempt, 600, None) for attempt in range(4)], backoff(1, 20, 600, None), backoff(2, 3, 600, 0.5)
    ([1.0, 2.0, 4.0, 8.0], 600.0, 8.0)
    """
    interval = min(int(maximum), int(max(1.0, factor)) * 2 ** min(max(attempt, 0), _MOST_DOUBLINGS))
    if jitter is not None:
        interval = int(jitter * (interval + 1))
    return float(max(0, interval))


def limit(policy: RetryPolicy) -> int | None:
    """How many retries an automatic retry may use; None is without limit."""
    own = policy.retry_kwargs.get("max_retries")
    return policy.max_retries if own is None else int(own)


def exhausted(policy: RetryPolicy, attempt: int) -> bool:
    """Whether run number `attempt` (from 0) was the last one allowed."""
    most = limit(policy)
    return most is not None and attempt >= most


def retries_on(policy: RetryPolicy, error: BaseException) -> bool:
    """Whether the task retries by itself after `error`."""
    return isinstance(error, policy.autoretry_for) and not isinstance(error, policy.dont_autoretry_for)


def delay(policy: RetryPolicy, attempt: int, jitter: float) -> float:
    """Seconds until an automatic retry of run number `attempt`."""
    if policy.retry_backoff:
        return backoff(policy.retry_backoff, attempt, policy.retry_backoff_max, jitter if policy.retry_jitter else None)
    countdown = policy.retry_kwargs.get("countdown")
    return float(policy.default_retry_delay if countdown is None else countdown)


def reconnect_delay(failures: int, jitter: float, *, base: float = 0.05, maximum: float = 2.0) -> float:
    """Seconds before a broker is asked again after `failures` failures in a row: full jitter, never nothing.

    The maximum leaves room for connecting and declaring: a fleet works again within five seconds of its broker.
    """
    ceiling = min(maximum, base * 2.0 ** min(failures, _MOST_DOUBLINGS))
    return max(base / 2, ceiling * jitter)
