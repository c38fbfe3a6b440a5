"""`make test`: every part of the suite in its CI size, cheapest first; reports all, fails if any failed."""

import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
# How many share the two cores in each part: by how much of it is waiting for servers, clocks and ends of processes.
PARTS: dict[str, list[str]] = {
    "unit and property": ["-n", "2", "tests/unit", "tests/property"],
    "conformance and integration": ["-n", "6", "tests/conformance", "tests/integration", "tests/plugin"],
    "interop with Celery": ["-n", "3", "tests/interop"],
    "simulation": ["-n", "2", "tests/simulation"],
    # These kill and wait for what comes back: most of the time nothing runs.
    "drills on servers, real kills": ["-n", "4", "tests/e2e/rabbit", "tests/e2e/redis"],
    # A file's tests share a server and a worker.
    "inside web frameworks": ["-n", "2", "--dist", "loadfile", "tests/e2e/frameworks"],
    "end to end, real kills": [
        *("-n", "3"),
        *(f"--ignore=tests/e2e/{part}" for part in ("rabbit", "redis", "frameworks")),
        "tests/e2e",
    ],
}


def main() -> int:
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    broken = [name for name, arguments in PARTS.items() if not run_part(name, arguments, totals)]
    print(f"{totals['passed']} passed, {totals['failed']} failed, {totals['skipped']} skipped", flush=True)
    if broken:
        print("failed: " + ", ".join(broken), file=sys.stderr)
    return 1 if broken else 0


def run_part(name: str, arguments: list[str], totals: dict[str, int]) -> bool:
    """Run one part; a part whose folder does not exist yet has nothing to say."""
    paths = [a for a in arguments if a.startswith("tests/")]
    present = [path for path in paths if any((ROOT / path).rglob("test_*.py"))]
    if not present:
        return True
    print(f"== {name}", flush=True)
    started = time.monotonic()
    options = [a for a in arguments if a not in paths]
    command = [sys.executable, "-m", "pytest", *options, *present, *sys.argv[1:]]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        closing = relay(process)
    for word in totals:
        found = re.search(rf"(\d+) {word}", closing)
        totals[word] += int(found[1]) if found else 0
    totals["failed"] += sum(int(n) for n in re.findall(r"(\d+) error", closing))
    print(f"   {name}: {time.monotonic() - started:.0f} s", flush=True)
    return process.returncode == 0


def relay(process: "subprocess.Popen[str]") -> str:
    """Pass the output on; answers pytest's last line."""
    closing = ""
    for line in process.stdout or ():
        print(line, end="", flush=True)
        closing = line if line.strip() else closing
    return closing


if __name__ == "__main__":
    sys.exit(main())
