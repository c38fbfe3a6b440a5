"""RabbitMQ's own patience: what is unacknowledged for longer than `consumer_timeout` is taken back and run elsewhere.

The server (3.8.15 and newer: 30 minutes) does not tell it to clients, so it is asked of the user where it differs, and
learnt from the error it closes a channel with.
"""

import re
from collections.abc import Mapping
from typing import Any

from leveret.errors import ImproperlyConfigured
from leveret.model.insight.finding import ERROR, Finding

OPTION = "consumer_timeout"
USUAL_SECONDS = 1800.0
_SPOKEN = re.compile(r"delivery acknowledgement on channel \d+ timed out(?:.*?(\d+) ms)?", re.DOTALL)


def consumer_timeout(transport: Mapping[str, Any]) -> float | None:
    """Seconds, from `broker_transport_options`; None or 0 there says that the server has none."""
    value = transport.get(OPTION, USUAL_SECONDS)
    if value in (None, 0, False):
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if seconds <= 0:
        raise ImproperlyConfigured(
            f"broker_transport_options[{OPTION!r}] is {value!r}: it must be seconds above 0, or None for a server "
            "without one"
        )
    return seconds


def longest_run(transport: Mapping[str, Any]) -> float | None:
    """The longest time limit a task may have: half of it, so that no run comes near."""
    timeout = consumer_timeout(transport)
    return None if timeout is None else timeout / 2


def refusal(task: str, limit: float, transport: Mapping[str, Any]) -> str:
    """Why a task's time limit is too long, and what to change."""
    return (
        f"task {task} may run {limit:g} s (time_limit), but RabbitMQ hands a message to somebody else when it is "
        f"unacknowledged for {consumer_timeout(transport):g} s (consumer_timeout): set consumer_timeout in "
        f"rabbitmq.conf to more than {2 * limit:g} s and say so, broker_transport_options={{{OPTION!r}: seconds}}, or "
        "shorten the limit"
    )


def too_long(task: str, limit: float, transport: Mapping[str, Any]) -> Finding:
    """As `refusal`, before a worker is started."""
    return Finding(
        severity=ERROR,
        check="consumer-timeout",
        where=f"task {task}",
        text=refusal(task, limit, transport),
        change=f"consumer_timeout = {int(limit * 3000)}  # milliseconds, in rabbitmq.conf",
    )


def explained(text: str) -> str | None:
    """What to change, where the broker closed a channel because of it."""
    found = _SPOKEN.search(text)
    if found is None:
        return None
    seconds = f"{int(found[1]) / 1000:g} s" if found[1] else "its consumer_timeout"
    return (
        f"RabbitMQ took back what this process had not acknowledged for {seconds} and hands it to others: raise "
        f"consumer_timeout in rabbitmq.conf above twice the longest task, and say so with "
        f"broker_transport_options={{{OPTION!r}: seconds}}"
    )
