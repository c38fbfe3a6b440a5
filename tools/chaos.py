"""`make chaos [DRILL=name]`: the drills in full size, with the shipped timeouts; figures go to bench/results/."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MUTANTS = ("rabbit-mutants", "redis-mutants", "limits-mutants")
"""Of the drills on a broker: each is run in CI size with what it watches broken, and must fail."""
RABBIT = ("restarts", "cuts", "replies", "alarms", "queue_deleted", "host_lost", "give_backs", "cluster", "schedules")
REDIS = ("restarts", "cuts", "host_lost", "stopped", "frozen", "failover", "full", "story")
DRILLS: dict[str, list[str]] = {
    "kill-prefork": ["-m", "pytest", "tests/e2e/test_kill.py", "-k", "prefork", "-s"],
    "kill-threads": ["-m", "pytest", "tests/e2e/test_kill.py", "-k", "threads", "-s"],
    "kill-asyncio": ["-m", "pytest", "tests/e2e/test_kill.py", "-k", "asyncio", "-s"],
    "simulation": ["-m", "leveret.testing.simulation", "--seeds", "0:20000", "--json", "bench/results/simulation.json"],
    "canvas": [
        *("-m", "leveret.testing.simulation", "--canvas", "--seeds", "0:5000", "--json", "bench/results/canvas.json")
    ],
    "canvas-kill": ["-m", "pytest", "tests/e2e/test_canvas_kill.py", "-s"],
    "interop": [
        "-m",
        "pytest",
        "tests/interop/matrix/test_mixed.py",
        "tests/interop/rabbitmq/test_garbage.py",
        "tests/interop/rabbitmq/test_garbage_speed.py",
        "-s",
    ],
    "kill-redis": ["-m", "pytest", "tests/e2e/redis/test_kill.py", "-s"],
    "redis-joins": ["-m", "pytest", "tests/interop/canvas/test_killed.py", "-s"],
    "redis-mixed": ["-m", "pytest", "tests/interop/redis/test_killed.py", "-s"],
    "kill-rabbitmq": ["-m", "pytest", "tests/e2e/rabbit/test_kill.py", "-s"],
    **{
        f"rabbit-{name.replace('_', '-')}": ["-m", "pytest", f"tests/e2e/rabbit/test_{name}.py", "-s"]
        for name in RABBIT
    },
    "rabbit-mutants": ["-m", "pytest", "tests/e2e/rabbit/test_mutants.py", "-s"],
    **{f"redis-{name.replace('_', '-')}": ["-m", "pytest", f"tests/e2e/redis/test_{name}.py", "-s"] for name in REDIS},
    "redis-mutants": ["-m", "pytest", "tests/e2e/redis/test_mutants.py", "-s"],
    "cron": ["-m", "pytest", "tests/simulation/test_cron.py", "-s"],
    "schedules": ["-m", "pytest", "tests/simulation/test_schedules.py", "tests/e2e/test_schedules.py", "-s"],
    "beat": ["-m", "pytest", "tests/interop/rabbitmq/test_beat.py", "-s"],
    "revoke": ["-m", "pytest", "tests/e2e/test_revoke.py", "-k", "revoked", "-s"],
    "terminate": ["-m", "pytest", "tests/e2e/test_revoke.py", "-k", "terminate", "-s"],
    "limits": ["-m", "pytest", "tests/e2e/limits/test_limits.py", "-s"],
    "dependency": ["-m", "pytest", "tests/e2e/limits/test_dependency.py", "-s"],
    "limits-mutants": ["-m", "pytest", "tests/e2e/limits/test_mutants.py", "-s"],
    "fairness": ["-m", "pytest", "tests/e2e/test_fairness.py", "-k", "equal_shares", "-s"],
    "batch": ["-m", "pytest", "tests/e2e/test_batch.py", "-s"],
    "producers": ["-m", "pytest", "tests/e2e/test_producers.py", "-s"],
}


def main() -> int:
    wanted = sys.argv[1:] or list(DRILLS)
    unknown = [name for name in wanted if name not in DRILLS]
    if unknown:
        print(f"no drill named {', '.join(unknown)}; there are: {', '.join(DRILLS)}", file=sys.stderr)
        return 2
    (ROOT / "bench" / "results").mkdir(parents=True, exist_ok=True)
    failed = [name for name in wanted if not holds(name)]
    print("all drills held" if not failed else f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


def holds(name: str) -> bool:
    environment = {**os.environ, "LEVERET_CHAOS": "mutants" if name in MUTANTS else "full"}
    return subprocess.run([sys.executable, *DRILLS[name]], cwd=ROOT, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
