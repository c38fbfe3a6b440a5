"""A figure beside its limit."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    limit: float
    unit: str
    at_least: bool = False
    or_else: str = ""
    """Another way in which the promise is kept; empty where it is not."""

    @property
    def holds(self) -> bool:
        return bool(self.or_else) or self.within

    @property
    def within(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        side = "at least" if self.at_least else "at most"
        verdict = "ok    " if self.holds else "MISSED"
        other = f", or: {self.or_else}" if self.or_else else ""
        return f"{verdict} {self.name:<58} {self.value:>10,.2f} {self.unit}  ({side} {self.limit:g}{other})"


def show(figures: Sequence[Figure]) -> list[dict[str, object]]:
    for figure in figures:
        print(figure, flush=True)
    return [{**asdict(figure), "holds": figure.holds} for figure in figures]
