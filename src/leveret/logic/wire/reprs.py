"""Values as people are shown them: never an error, and no more than fits a line."""

from typing import Any

REPR_CHARS = 1_024
ARGUMENTS_CHARS = 200
"""Of arguments, which are shown for every task."""
_SURELY_CUT = 100


def safe_repr(value: Any) -> str:
    """repr() of anything, at most 1,024 characters."""
    try:
        text = repr(value)
    except Exception as broken:  # user code
        text = f"<{type(value).__qualname__} whose repr() raises {type(broken).__qualname__}>"
    return text if len(text) <= REPR_CHARS else _cut(text, REPR_CHARS)


def short_repr(value: Any) -> str:
    """What monitors are shown of arguments."""
    text = safe_repr(value)
    return text if len(text) <= ARGUMENTS_CHARS else _cut(text, ARGUMENTS_CHARS)


def is_repr(text: str, value: Any) -> bool:
    """Whether a text that came with a message is what somebody's repr made of `value`, cut or not: it hides nothing."""
    # Arguments that Celery's client was given as a list are shown as one.
    return any(_is(text, safe_repr(one)) for one in ((value, list(value)) if type(value) is tuple else (value,)))


def _is(text: str, whole: str) -> bool:
    return text == whole or (len(text) > _SURELY_CUT and text.endswith("...") and whole.startswith(text[:-3]))


def _cut(text: str, chars: int) -> str:
    return text[: chars - 3] + "..."
