"""What this machine allows a process."""

from typing import Any

resource: Any
try:
    import resource
except ImportError:  # Windows does not tell
    resource = None


def open_files() -> int | None:
    """How many files this process may open; None where it is not told, or there is no limit."""
    if resource is None:
        return None
    soft = int(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    return None if soft == resource.RLIM_INFINITY else soft
