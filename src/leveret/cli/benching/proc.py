"""CPU and memory of a node: every process under one pid, reaped ones included. Linux; elsewhere it reads zero."""

import os
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    processes: int
    rss_mb: float
    pss_mb: float


def tree(root: int) -> tuple[int, ...]:
    """`root` and its descendants, parents first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.is_dir() else ():
        fields = _stat(int(entry.name)) if entry.name.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return tuple(found)


def cpu_seconds(root: int) -> float:
    """User and system time of the tree; a parent's `cutime` and `cstime` hold what its reaped children used."""
    stats = (_stat(pid) for pid in tree(root))
    return sum(sum(map(int, fields[11:15])) for fields in stats if fields) / TICKS


def memory(root: int) -> Memory:
    rows = [row for pid in tree(root) if (row := _rollup(pid))]
    return Memory(
        processes=len(rows),
        rss_mb=sum(row["Rss"] for row in rows) / 1024,
        pss_mb=sum(row["Pss"] for row in rows) / 1024,
    )


def _stat(pid: int) -> list[str] | None:
    """The fields after the command's name: state, ppid, ... utime, stime, cutime, cstime at 11 to 14."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _rollup(pid: int) -> dict[str, int] | None:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
