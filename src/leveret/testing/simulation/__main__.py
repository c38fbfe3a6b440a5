"""`python -m leveret.testing.simulation --seeds 0:2000 --jobs 2 --json out.json`."""

import sys

from leveret.testing.simulation.report import main

sys.exit(main())
