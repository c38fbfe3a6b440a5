"""What every drill has in common: two sizes, a seed, and figures that are kept.

CI does at least a tenth, with short timeouts; LEVERET_CHAOS=full (`make chaos DRILL=name`) does all of it with the
timeouts Leveret is shipped with and leaves the figures in bench/results/<name>.json.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("LEVERET_CHAOS") == "full"
SEED = int(os.environ.get("LEVERET_SEED", "1"))

T = TypeVar("T")


def size(full: T, ci: T) -> T:
    """Pick by the size of this run."""
    return full if FULL else ci


def keep_part(name: str, part: str, figures: Mapping[str, Any]) -> None:
    """As `keep`, for one part of a drill: beside the others in one file."""
    path = ROOT / "bench" / "results" / f"{name}.json"
    print(f"\n{name} {part}: {json.dumps(figures)}")
    if FULL:
        known = json.loads(path.read_text()) if path.exists() else {}
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({**known, "seed": SEED, "size": "full", part: dict(figures)}, indent=2) + "\n")


def keep(name: str, figures: Mapping[str, Any]) -> None:
    """Print a drill's figures; in full size write them down too."""
    told = {"seed": SEED, "size": "full" if FULL else "ci", **figures}
    print(f"\n{name}: {json.dumps(told)}")
    if FULL:
        path = ROOT / "bench" / "results" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(told, indent=2) + "\n")
