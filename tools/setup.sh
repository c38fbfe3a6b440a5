#!/usr/bin/env bash
# Makes the project's virtual environment; needs Python 3.11 or newer and nothing else.
set -euo pipefail
venv=${1:-.venv}
python=${PYTHON:-python3}
"$python" - <<'PY' || exit 1
import sys
if sys.version_info < (3, 11):
    sys.exit(f"leveret needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Set PYTHON=/path/to/python3.11.")
PY
if [ ! -x "$venv/bin/python" ]; then
  "$python" -m venv "$venv" || { echo "python3 -m venv failed; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
fi
"$venv/bin/python" -m pip install -q --disable-pip-version-check --upgrade "pip>=25.1" uv
"$venv/bin/uv" pip install -q --compile-bytecode --python "$venv/bin/python" --group dev -e .
