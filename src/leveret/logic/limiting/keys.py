"""Texts that stand for arguments: two calls share a limit, or are the same unique task, when theirs are equal."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

MOST_CHARS = 120
"""A longer text is cut; a digest of the whole stands at its end."""


def key_text(value: Any) -> str:
    """What a key function answered, as text; not longer than a store's key should be."""
    text = value if isinstance(value, str) else str(value)
    if len(text) <= MOST_CHARS:
        return text
    return f"{text[: MOST_CHARS - 33]}~{_digest(text.encode('utf-8', 'surrogatepass'))}"


def arguments_text(arguments: Mapping[str, Any]) -> str:
    """A digest of arguments by name, whatever order mappings and sets in them have."""
    try:
        return _digest(msgspec.json.encode(arguments, enc_hook=repr, order="deterministic"))
    except (TypeError, ValueError):
        # Keys of a mapping that JSON has no words for.
        return _digest(repr(sorted(arguments.items())).encode("utf-8", "surrogatepass"))


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
