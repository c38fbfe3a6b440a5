"""Moments and spans as a person reads them."""

from datetime import datetime

_DAY = 86_400.0


def clock(at: float, now: float) -> str:
    """`12:03:07` in this machine's zone; with the date where that is not today."""
    moment = datetime.fromtimestamp(at).astimezone()
    today = datetime.fromtimestamp(now).astimezone().date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M:%S")


def span(seconds: float) -> str:
    """`3 ms`, `0.25 s`, `42 s`, `7 min`, `3.5 h`, `12 days`."""
    seconds = max(0.0, seconds)
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.3g} h" if seconds < 2 * _DAY else f"{seconds / _DAY:.3g} days"


def until(at: float, now: float) -> str:
    """`until 12:03:07 (in 42 s)`, or that this is over."""
    return f"until {clock(at, now)} ({f'in {span(at - now)}' if at > now else 'over, and asked for again'})"
