"""The fields of a crontab as Celery reads them (`celery/schedules.py:crontab_parser`): accepted and refused alike.

Celery's grammar, with its corners: a range may wrap around (`22-2`), names are known by their first three letters in
every field, what follows a complete range or step is not looked at, and whatever `int()` reads is a number.
"""

import re
from collections.abc import Iterable
from typing import Any

from leveret.errors import CallerError

Field = int | str | Iterable[int]

_NAMES = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12, "sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6,
}  # fmt: skip
_RANGE_STEPS = re.compile(r"(\w+?)-(\w+)/(\w+)?")
_RANGE = re.compile(r"(\w+?)-(\w+)")
_STAR_STEPS = re.compile(r"\*/(\w+)?")
_DAYS = {1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
"""Of each month, in its longest year."""


class ParseException(CallerError, ValueError):
    """A crontab that means nothing; the message names the field and what was found in it."""


class Range:
    """The numbers a field may have."""

    def __init__(self, name: str, size: int, first: int = 0) -> None:
        self.name, self.first, self.last = name, first, first + size - 1

    def read(self, field: Any) -> tuple[int, ...]:
        """Every number a field means, sorted."""
        if isinstance(field, str):
            found = {number for part in field.split(",") for number in self._part(part, field)}
        elif isinstance(field, int):
            found = {field}
        elif isinstance(field, Iterable):
            found = set(field)
        else:
            raise TypeError(f"{self.name}={field!r}: a field is a number, a text or several numbers")
        for number in found:
            if not isinstance(number, int):
                raise TypeError(f"{self.name}={field!r}: {number!r} is no whole number")
            self._check(number, field)
        return tuple(sorted(found))

    def _part(self, part: str, field: str) -> list[int]:
        if not part:
            raise self._error(field, "a part of it is empty")
        if match := _RANGE_STEPS.match(part):
            return self._step(self._range(match[1], match[2], field), match[3], field)
        if match := _RANGE.match(part):
            return self._range(match[1], match[2], field)
        if match := _STAR_STEPS.match(part):
            return self._step(self._all(), match[1], field)
        return self._all() if part == "*" else [self._number(part, field)]

    def _all(self) -> list[int]:
        return list(range(self.first, self.last + 1))

    def _range(self, begin: str, end: str, field: str) -> list[int]:
        first, last = self._number(begin, field), self._number(end, field)
        if last < first:
            return [*range(first, self.last + 1), *range(self.first, last + 1)]
        return list(range(first, last + 1))

    def _step(self, numbers: list[int], step: str | None, field: str) -> list[int]:
        if not step:
            raise self._error(field, "no number follows the /")
        try:
            return numbers[:: int(step)]
        except ValueError as error:
            raise self._error(field, f"{step!r} is no step") from error

    def _number(self, text: str, field: str) -> int:
        if text.startswith("-"):
            raise self._error(field, f"{text!r} is negative")
        try:
            number = int(text)
        except ValueError:
            found = _NAMES.get(text[:3].lower())
            if found is None:
                raise self._error(field, f"{text!r} is neither a number nor a day or month") from None
            number = found
        self._check(number, field)
        return number

    def _check(self, number: int, field: Any) -> None:
        if not self.first <= number <= self.last:
            raise self._error(field, f"{number} is not from {self.first} to {self.last}")

    def _error(self, field: Any, why: str) -> ParseException:
        return ParseException(f"{self.name}={field!r}: {why}")


MINUTE = Range("minute", 60)
HOUR = Range("hour", 24)
DAY_OF_WEEK = Range("day_of_week", 7)
DAY_OF_MONTH = Range("day_of_month", 31, 1)
MONTH = Range("month_of_year", 12, 1)


def refuse_impossible(days: tuple[int, ...], months: tuple[int, ...], written: tuple[Any, Any]) -> None:
    """Refuse the 30th of February."""
    if not any(day <= _DAYS[month] for month in months for day in days):
        raise ParseException(f"day_of_month={written[0]!r} never occurs in month_of_year={written[1]!r}")


NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def split(text: str) -> tuple[str, str, str, str, str]:
    """The five fields of a crontab line: minute, hour, day of month, month, day of week."""
    line = NAMED.get(text.strip().lower(), text)
    fields = line.split()
    if len(fields) != 5:
        known = f"five fields (minute hour day-of-month month day-of-week) or one of {', '.join(NAMED)}"
        raise ParseException(f"{text!r} is no crontab: {known} is expected, {len(fields)} fields were found")
    minute, hour, day, month, weekday = fields
    return minute, hour, day, month, weekday
