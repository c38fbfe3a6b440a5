"""`make chaos [DRILL=name]`: the drills in full size, with the shipped timeouts; figures go to bench/results/."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DRILLS: dict[str, list[str]] = {
    "kill-prefork": ["-m", "pytest", "tests/e2e/test_kill.py", "-k", "prefork", "-s"],
    "kill-threads": ["-m", "pytest", "tests/e2e/test_kill.py", "-k", "threads", "-s"],
    "kill-asyncio": ["-m", "pytest", "tests/e2e/test_kill.py", "-k", "asyncio", "-s"],
    "simulation": ["-m", "leveret.testing.simulation", "--seeds", "0:20000", "--json", "bench/results/simulation.json"],
    "interop": [
        "-m",
        "pytest",
        "tests/interop/rabbitmq/test_mixed.py",
        "tests/interop/rabbitmq/test_garbage.py",
        "tests/interop/rabbitmq/test_garbage_speed.py",
        "-s",
    ],
    "kill-rabbitmq": ["-m", "pytest", "tests/e2e/rabbit/test_kill.py", "-s"],
    **{
        f"rabbit-{name.replace('_', '-')}": ["-m", "pytest", f"tests/e2e/rabbit/test_{name}.py", "-s"]
        for name in ("restarts", "cuts", "replies", "alarms", "queue_deleted", "host_lost", "give_backs", "cluster")
    },
    "producers": ["-m", "pytest", "tests/e2e/test_producers.py", "-s"],
}


def main() -> int:
    wanted = sys.argv[1:] or list(DRILLS)
    unknown = [name for name in wanted if name not in DRILLS]
    if unknown:
        print(f"no drill named {', '.join(unknown)}; there are: {', '.join(DRILLS)}", file=sys.stderr)
        return 2
    (ROOT / "bench" / "results").mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "LEVERET_CHAOS": "full"}
    failed = [n for n in wanted if subprocess.run([sys.executable, *DRILLS[n]], cwd=ROOT, env=environment).returncode]
    print("all drills held" if not failed else f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
