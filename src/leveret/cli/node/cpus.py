"""How many CPUs this process may use: its affinity and its container's quota, not what the machine has."""

import os
from math import ceil
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cpus(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """At least 1. A quota of 1.5 CPUs counts as 2: a slot is not always busy."""
    quota = cgroup_quota(groups, membership)
    allowed = _affinity()
    return max(1, allowed if quota is None else min(allowed, ceil(quota)))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quota(groups: Path, membership: Path) -> float | None:
    """The tightest quota of our control group and those above it, in CPUs; None without one."""
    quotas = [quota for folder in _folders(groups, membership) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _folders(groups: Path, membership: Path) -> list[Path]:
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return []
    folders: list[Path] = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / "cpu" if controllers else groups
        own = root / path.lstrip("/")
        # Inside a container the path is often the host's and does not exist: then the root is our own group.
        folders += [place for place in (own, *own.parents) if place.is_relative_to(root)]
    return folders


def _quota(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            limit, _, period = (folder / "cpu.max").read_text().partition(" ")
            return None if limit == "max" else int(limit) / int(period)
        limit = (folder / "cpu.cfs_quota_us").read_text()
        return int(limit) / int((folder / "cpu.cfs_period_us").read_text()) if int(limit) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
