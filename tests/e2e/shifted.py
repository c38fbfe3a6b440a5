"""`python -m tests.e2e.shifted FILE worker ...`: `leveret` in the future: FILE holds by how many seconds, and may change.

The real command line with the clock shifted where wiring takes it; the node's processes are forked with it.
"""

import sys
import time
from pathlib import Path

from leveret.cli.main import main
from leveret.wiring.clock import SystemClock


def shift(file: Path) -> None:
    SystemClock.now = staticmethod(lambda: time.time() + float(file.read_text()))


if __name__ == "__main__":
    shift(Path(sys.argv.pop(1)))
    sys.exit(main())
