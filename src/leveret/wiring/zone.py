"""What a datetime without a zone means to an app."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured


def naive_zone(settings: Settings) -> tzinfo | None:
    """The zone of datetimes that name none: refused unless the app says UTC (DESIGN 7)."""
    name = settings.timezone
    if settings.profile != "celery":
        return UTC if name and name.upper() in ("UTC", "ETC/UTC") else None
    if name is None:
        return UTC if settings.enable_utc else LocalZone()
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ImproperlyConfigured(f"timezone is {name!r}: it must be the name of a zone, as in UTC") from error


class LocalZone(tzinfo):
    """The machine's own zone, summer time included: Celery's without `enable_utc`."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()
