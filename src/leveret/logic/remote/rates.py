"""Rate limits as Celery writes them: `10/s`, `10/m`, `10/h`, or a number a second."""

from typing import Any

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def per_second(rate: Any) -> float:
    """Raises ValueError for what is none."""
    if not rate:
        return 0.0
    if isinstance(rate, str):
        number, _, unit = rate.partition("/")
        if (unit or "s") not in _SECONDS:
            raise ValueError(f"unknown unit {unit!r}: s, m or h")
        return float(number) / _SECONDS[unit or "s"]
    return float(rate)
