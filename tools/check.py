"""`make check`: format, lint, types, import floors, size gate, pinned public names. Stops at nothing, reports all."""

import subprocess
import sys
from pathlib import Path

BIN = Path(sys.executable).parent
CODE = ["src", "tests", "tools", "bench", "examples"]
STEPS = {
    "format": ["ruff", "format", "--check", "-q", *CODE],
    "lint": ["ruff", "check", "-q", *CODE],
    "types (mypy)": ["mypy"],
    "types of the public face (mypy)": ["mypy", "--config-file", "pyproject.toml", "tests/typing"],
    "types of the public face (basedpyright)": ["basedpyright", "--level", "error"],
    "import floors": ["lint-imports"],
    "size gate": ["python", "tools/size_gate.py"],
}


def main() -> int:
    failed = []
    for name, command in STEPS.items():
        done = subprocess.run([BIN / command[0], *command[1:]], capture_output=True, text=True, check=False)
        print(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}", flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stdout + done.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
