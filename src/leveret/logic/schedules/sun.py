"""The next time the sun does something at a place, by the `ephem` library, under Celery's names."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, NamedTuple

from leveret.errors import ImproperlyConfigured, MissingExtra
from leveret.model.schedules.timing import Solar

SEARCH_DAYS = 366
"""Some events do not come every day: near the poles the sun stays up, or down."""


class _Event(NamedTuple):
    method: str
    horizon: str
    center: bool
    words: str


EVENTS: Mapping[str, _Event] = {
    "dawn_astronomical": _Event("next_rising", "-18", True, "at astronomical dawn"),
    "dawn_nautical": _Event("next_rising", "-12", True, "at nautical dawn"),
    "dawn_civil": _Event("next_rising", "-6", True, "at dawn"),
    "sunrise": _Event("next_rising", "-0:34", False, "at sunrise"),
    "solar_noon": _Event("next_transit", "0", False, "at solar noon"),
    "sunset": _Event("next_setting", "-0:34", False, "at sunset"),
    "dusk_civil": _Event("next_setting", "-6", True, "at dusk"),
    "dusk_nautical": _Event("next_setting", "-12", True, "at nautical dusk"),
    "dusk_astronomical": _Event("next_setting", "-18", True, "at astronomical dusk"),
}


def check(solar: Solar) -> None:
    """Refuse an event or a place that does not exist, and a machine without the library."""
    if solar.event not in EVENTS:
        raise ImproperlyConfigured(f"solar event {solar.event!r} is none: it is one of {', '.join(sorted(EVENTS))}")
    if not -90 <= solar.lat <= 90:
        raise ImproperlyConfigured(f"latitude {solar.lat!r} is not between -90 and 90")
    if not -180 <= solar.lon <= 180:
        raise ImproperlyConfigured(f"longitude {solar.lon!r} is not between -180 and 180")
    _ephem()


def next_event(solar: Solar, after: float) -> float | None:
    """The first moment after `after`; None when there is none within a year."""
    ephem, event = _ephem(), EVENTS[solar.event]
    observer = ephem.Observer()
    observer.lat, observer.lon, observer.elev = str(solar.lat), str(solar.lon), 0
    observer.horizon, observer.pressure = event.horizon, 0
    sun, options = ephem.Sun(), {"use_center": True} if event.center else {}
    # The library answers to the second, and may answer the event just seen once more.
    start = ephem.Date(datetime.fromtimestamp(after + 1.0, UTC).replace(tzinfo=None))
    for _ in range(SEARCH_DAYS):
        try:
            found = getattr(observer, event.method)(sun, start=start, **options)
        except ephem.CircumpolarError:
            start = observer.next_antitransit(sun, start=start)
            continue
        moment = float(int(found.datetime().replace(tzinfo=UTC).timestamp()))
        if moment > after:
            return moment
        start = ephem.Date(found + ephem.minute)
    return None


def _ephem() -> Any:
    try:
        return import_module("ephem")
    except ImportError as error:
        raise MissingExtra("solar schedules", "solar") from error
