#!/usr/bin/env bash
# Makes the project's virtual environment with the named dependency groups; needs Python 3.11 or newer, nothing else.
# usage: setup.sh FOLDER GROUP...
set -euo pipefail
venv=$1
shift
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
install() { "$venv/bin/uv" pip install -q --compile-bytecode --python "$venv/bin/python" "$@"; }
install -e .
for group in "$@"; do
  if [ "$group" = producers ]; then
    install --group producers || echo "what tests/e2e/test_producers.py and tests/e2e/frameworks live in did not all install: their tests are skipped" >&2
  elif [ "$group" = servers ]; then
    install --group servers || echo "Valkey did not install: tests/conformance/test_valkey.py is skipped" >&2
  else
    install --group "$group"
  fi
done
