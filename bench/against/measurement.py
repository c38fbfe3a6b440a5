"""A comparison is a list of measurements; what is known is written down after each."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import rounds

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
    """Plays what is selected and adds it to `content`, which is written to the file named `result`."""
    for one in selection.chosen(measurements):
        count = min(selection.rounds, FEW) if one.slow else selection.rounds
        found = rounds.play(one.name, one.entries, count)
        content[one.name] = {"rounds": found, "ratios": rounds.summarise(one.name, found, one.figure)}
        rounds.write(result, content)
