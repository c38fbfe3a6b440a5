"""When an entry is due, in plain words."""

import pytest

from leveret import crontab, schedule
from leveret.logic.schedules.words import words
from leveret.model.schedules.entry import Entry
from leveret.model.schedules.timing import Clocked, Every


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("0 9 * * mon-fri", "at 09:00 on weekdays, Asia/Seoul"),
        ("30 7 * * *", "at 07:30 every day, Asia/Seoul"),
        ("@daily", "at 00:00 every day, Asia/Seoul"),
        ("@hourly", "every hour, Asia/Seoul"),
        ("@weekly", "at 00:00 on Sundays, Asia/Seoul"),
        ("* * * * *", "every minute, Asia/Seoul"),
        ("*/5 * * * *", "every 5 minutes, Asia/Seoul"),
        ("17 * * * *", "every hour at minute 17, Asia/Seoul"),
        ("0 */3 * * *", "every 3 hours, Asia/Seoul"),
        ("30 */6 * * *", "at 00:30, 06:30, 12:30 and 18:30 every day, Asia/Seoul"),
        ("30 */3 * * *", "every 3 hours at minute 30, Asia/Seoul"),
        ("*/15 9-17 * * mon-fri", "every 15 minutes from 09:00 to 17:45 on weekdays, Asia/Seoul"),
        ("0 9-17 * * *", "every hour from 09:00 to 17:00, Asia/Seoul"),
        ("0 8,20 * * sat,sun", "at 08:00 and 20:00 at weekends, Asia/Seoul"),
        ("0 0 1 * *", "at 00:00 on day 1 of the month, Asia/Seoul"),
        ("0 6 1,15 * *", "at 06:00 on days 1 and 15 of the month, Asia/Seoul"),
        ("0 0 1 1 *", "at 00:00 on day 1 of the month in January, Asia/Seoul"),
        ("0 12 * mar,sep tue,thu", "at 12:00 on Tuesdays and Thursdays in March and September, Asia/Seoul"),
        ("1,2,3,4,5,7 3,9,11 2-9 * *", "at 1,2,3,4,5,7 3,9,11 2-9 * *, Asia/Seoul"),
    ],
)
def test_a_crontab_in_words(line: str, expected: str) -> None:
    assert words(Entry(name="a", task="t", timing=crontab.from_string(line).timing(), zone="Asia/Seoul")) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(1, "every second"), (30, "every 30 seconds"), (90, "every 90 seconds"), (60, "every minute"), (7200, "every 2 hours"),
     (86_400, "every day"), (0.5, "every 0.5 seconds"), (1.5, "every 1.5 seconds")],
)  # fmt: skip
def test_an_interval_in_words(seconds: float, expected: str) -> None:
    assert words(Entry(name="a", task="t", timing=schedule(seconds).timing())) == expected


def test_other_times_in_words() -> None:
    assert words(Entry(name="a", task="t", timing=Clocked(at=0.0))) == "once, at 1970-01-01 00:00:00, UTC"
    cut = Entry(name="a", task="t", timing=Every(seconds=3600.0, relative=True))
    assert words(cut) == "every hour, on the full unit"
