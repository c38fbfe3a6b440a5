"""Which nodes a command is for (`kombu/matcher.py`)."""

import re
from fnmatch import fnmatch

from leveret.model.remote.command import Command

PATTERN_LONGEST = 255
"""A regular expression comes from whoever may write to the broker, and may take for ever."""


def is_for(command: Command, node: str) -> bool:
    """Whether a node is meant; a pattern that cannot be read means nobody."""
    if command.destination:
        return node in command.destination
    if command.pattern is None or command.matcher is None:
        return True
    return _matches(node, command.pattern, command.matcher)


def _matches(node: str, pattern: str, matcher: str) -> bool:
    if len(pattern) > PATTERN_LONGEST:
        return False
    match matcher:
        case "glob":
            return fnmatch(node, pattern)
        case "pcre":
            try:
                return re.match(pattern, node) is not None
            except (re.error, RecursionError):
                return False
        case _:
            return False
