"""`make docs`: the pages as HTML in docs/_build; a broken reference or a page nobody links to is an error."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "_build"


def main() -> int:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", OUT], cwd=ROOT, check=False
    )
    if built.returncode == 0:
        print(f"docs: {OUT / 'index.html'}")
    return built.returncode


if __name__ == "__main__":
    sys.exit(main())
