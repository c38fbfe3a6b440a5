"""Rates as Celery writes them: `10/s`, `10/m`, `10/h`, or a number a second."""

import math
from typing import Any

PERIODS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def per_second(rate: Any) -> float:
    """Read a rate; nothing, and 0, is no limit. Raises ValueError for what is none."""
    count, period = counted(rate)
    return count / period


def counted(rate: Any) -> tuple[float, float]:
    """How many, in how many seconds. Raises ValueError for what is no rate."""
    if not rate:
        return 0.0, 1.0
    text, _, unit = str(rate).partition("/")
    unit = unit or "s"
    if unit not in PERIODS:
        raise ValueError(f"unknown unit {unit!r}: s, m or h")
    count = float(text)
    if not (0 <= count < math.inf) or isinstance(rate, bool):
        raise ValueError(f"{rate!r} is no rate")
    return count, PERIODS[unit]
