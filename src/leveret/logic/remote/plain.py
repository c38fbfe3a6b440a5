"""Any value as JSON: what is none becomes its repr, as a person would want to see it."""

import math
from collections.abc import Mapping
from typing import Any

DEEPEST = 32
_LARGEST = 1 << 63


def plain(value: Any, depth: int = 0) -> Any:
    """Containers are walked, deep ones cut; keys are text."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -_LARGEST <= value < _LARGEST else str(value)
        case float():
            return value if math.isfinite(value) else repr(value)
    if depth >= DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {str(key): plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(part, depth + 1) for part in value]
    try:
        return repr(value)
    except Exception as error:  # somebody's __repr__
        return f"<{type(value).__name__}: repr failed: {error!r}>"
