"""A crontab is read as Celery reads it: the same sets, and the same refusals with a clearer word."""

import celery.schedules
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leveret.client.schedules.timings import crontab
from leveret.errors import CallerError

FIELDS = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")

WRITTEN = (
    "*", "*/5", "0", "59", "60", "-1", "1-5", "5-1", "22-2", "1-5/2", "1-5/0", "*/0", "*/", "1-", "-", "", ",", "1,", "1,2,3",
    "mon", "monday", "mon-fri", "sat-sun", "jan", "january-march", "feb/2", "7", "0-7", "1.5", "a", "*5", "5*", "**", "*/5/2",
    "1-5-7", "1-5/2/3", "1 2", " 5", "5 ", "1_0", "*/-2", "*/2x", "12", "13", "31", "32", "0-59/15", "50-10/20", "x-5", "5-x",
    "mon-5", "dec-feb", "1-5,mon", "L", "5#3", "?", "0x5", "+5", "05", "١",
)  # fmt: skip


def ours(**fields):
    try:
        found = crontab(**fields)
    except (CallerError, ValueError, TypeError):
        return None
    return tuple(set(getattr(found, name)) for name in FIELDS)


def theirs(**fields):
    try:
        found = celery.schedules.crontab(**fields)
    except Exception:
        return None
    if not all(getattr(found, name) for name in FIELDS):
        return None  # an empty set: Celery takes it and then fails at the first look
    return tuple(set(getattr(found, name)) for name in FIELDS)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("text", WRITTEN)
def test_what_people_write_is_accepted_and_refused_as_by_celery(name: str, text: str) -> None:
    assert ours(**{name: text}) == theirs(**{name: text})


part = st.text(alphabet="0123456789-/*,monfrijae", min_size=0, max_size=8)


@settings(max_examples=3000)
@given(name=st.sampled_from(FIELDS), text=part)
@example(name="hour", text="0-23/3,1")
@example(name="month_of_year", text="jan-dec/3")
def test_any_text_is_accepted_and_refused_as_by_celery(name: str, text: str) -> None:
    assert ours(**{name: text}) == theirs(**{name: text})


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("value", [3, 100, -1, [1, 2], (1, 99), {1, 3}, range(1, 5), None, 1.5, True, [], object()])
def test_other_values_are_accepted_and_refused_as_by_celery(name: str, value) -> None:
    if value == 1.5:
        assert ours(**{name: value}) is None
    else:
        assert ours(**{name: value}) == theirs(**{name: value})


@pytest.mark.parametrize(
    ("day", "month"), [(30, 2), (31, "2,4,6"), ("31", "apr"), (29, 2), ("30-31", "feb"), (31, "*/2")]
)
def test_impossible_dates_are_refused_as_by_celery(day, month) -> None:
    assert ours(day_of_month=day, month_of_year=month) == theirs(day_of_month=day, month_of_year=month)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"minute": "61"}, "minute='61': 61 is not from 0 to 59"),
        ({"hour": "*/x"}, "hour='*/x': 'x' is no step"),
        ({"day_of_week": "noday"}, "day_of_week='noday': 'noday' is neither a number nor a day or month"),
        ({"day_of_month": 0}, "day_of_month=0: 0 is not from 1 to 31"),
        ({"month_of_year": "1,,2"}, "month_of_year='1,,2': a part of it is empty"),
        ({"day_of_month": "30", "month_of_year": "feb"}, "day_of_month='30' never occurs in month_of_year='feb'"),
    ],
)
def test_a_refusal_names_the_field_and_the_value(fields, words) -> None:
    with pytest.raises(CallerError, match="^" + words.replace("*", r"\*") + "$"):
        crontab(**fields)


@pytest.mark.parametrize("line", ["* * * * *", "*/5 9-17 * * mon-fri", "0 0 1,15 jan-jun *"])
def test_a_line_is_read_as_by_celery_and_shown_like_there(line: str) -> None:
    found, known = crontab.from_string(line), celery.schedules.crontab.from_string(line)

    assert repr(found) == repr(known)
    assert all(set(getattr(found, name)) == getattr(known, name) for name in FIELDS)


@pytest.mark.parametrize("line", ["* * * *", "* * * * * *", "", "@never"])
def test_a_line_that_is_none_is_refused_with_what_is_expected(line: str) -> None:
    with pytest.raises(CallerError, match="five fields"):
        crontab.from_string(line)


def test_named_lines() -> None:
    assert crontab.from_string("@daily") == crontab(minute=0, hour=0)
    assert crontab.from_string("@hourly") == crontab(minute=0)
    assert crontab.from_string("@weekly") == crontab(minute=0, hour=0, day_of_week="sun")
    assert crontab.from_string("@yearly") == crontab(0, 0, "*", 1, 1)
