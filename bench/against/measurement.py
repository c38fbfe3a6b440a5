"""A comparison is a list of measurements; what is known is written down after each."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import rounds
from leveret.errors import LeveretError

FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """`figure` is what ours and theirs are divided by; a slow one is content with a few rounds."""

    name: str
    entries: rounds.Entries
    figure: str = "per_second"
    slow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the command line asks for; empty means all."""

    rounds: int
    peers: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def chosen(self, measurements: Sequence[Measurement]) -> list[Measurement]:
        unknown = set(self.only) - {one.name for one in measurements}
        if unknown:
            known = ", ".join(repr(one.name) for one in measurements)
            raise SystemExit(f"no measurement named {', '.join(map(repr, unknown))}; there are {known}")
        return [one for one in measurements if not self.only or one.name in self.only]


def measure(result: str, measurements: Sequence[Measurement], selection: Selection, content: dict[str, object]) -> None:
    """Plays what is selected and adds it to `content`, which is written to the file named `result`.

    A measurement that breaks does not take the others with it: it is written down as broken.
    """
    for one in selection.chosen(measurements):
        try:
            content[one.name] = _played(one, min(selection.rounds, FEW) if one.slow else selection.rounds)
        except (RuntimeError, LeveretError, subprocess.TimeoutExpired) as error:
            print(f"NOT MEASURED: {one.name}: {error}", flush=True)
            content[one.name] = {"broken": str(error).strip().splitlines()[-1]}
        rounds.write(result, content)


def broken(content: Mapping[str, object]) -> list[str]:
    return [name for name, found in content.items() if isinstance(found, dict) and "broken" in found]


def _played(measurement: Measurement, count: int) -> dict[str, object]:
    found = rounds.play(measurement.name, measurement.entries, count)
    return {"rounds": found, "ratios": rounds.summarise(measurement.name, found, measurement.figure)}
