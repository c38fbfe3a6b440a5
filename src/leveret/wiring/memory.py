"""How much memory this process holds."""

import os
import sys
from typing import Any

resource: Any
try:
    import resource
except ImportError:  # Windows
    resource = None

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024 if hasattr(os, "sysconf") else 4


def resident_kibibytes() -> int:
    """Answer what is resident now, pages shared with other processes included; elsewhere than on Linux the most it ever
    was, and 0 where nobody says."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_KIB
    except OSError:
        if resource is None:
            return 0
        peak = int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return peak // 1024 if sys.platform == "darwin" else peak
