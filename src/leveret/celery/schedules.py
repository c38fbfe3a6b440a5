"""`celery.schedules`."""

from leveret.client.schedules.timings import (
    BaseSchedule,
    ParseException,
    clocked,
    crontab,
    maybe_schedule,
    schedule,
    solar,
)

__all__ = ["BaseSchedule", "ParseException", "clocked", "crontab", "maybe_schedule", "schedule", "solar"]
