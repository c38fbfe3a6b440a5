"""Which server keeps the schedule, and how it is reached."""

import pytest

from leveret.config.settings import Settings
from leveret.model.endpoint import Url
from leveret.schedulestores.redis import RedisScheduleDriver
from leveret.wiring.scheduler import schedule_driver, schedule_url

REDIS, RABBIT = Url("redis://one"), Url("amqp://rabbit")
KEYS, RESULTS = {"global_keyprefix": "keys."}, {"global_keyprefix": "results."}


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "redis+socket", "sentinel"])
def test_every_scheme_of_redis_keeps_the_schedule_of_its_broker(scheme):
    url = Url(f"{scheme}://u:secret@host/{'1' if scheme != 'unix' else 'x.sock'}")
    driver = schedule_driver(Settings(broker_url=url, broker_transport_options={"master_name": "m", **KEYS}))

    assert isinstance(driver, RedisScheduleDriver)
    assert driver.address.startswith(f"{scheme}://u:**@host/")


@pytest.mark.parametrize(
    ("broker", "results", "named", "kept", "prefix"),
    [
        (REDIS, None, None, REDIS, "keys."),
        (REDIS, Url("redis://two"), None, REDIS, "keys."),
        (REDIS, Url("redis://two"), Url("redis://two"), Url("redis://two"), "results."),
        (REDIS, None, Url("redis://three"), Url("redis://three"), "keys."),
        (RABBIT, REDIS, None, REDIS, "results."),
        (RABBIT, Url("sqlite:///x.db"), REDIS, REDIS, "results."),
    ],
)
def test_the_store_is_reached_as_the_server_it_is(broker, results, named, kept, prefix):
    settings = Settings(
        broker_url=broker,
        result_backend=results,
        beat_store=named,
        broker_transport_options=KEYS,
        result_backend_transport_options=RESULTS,
    )

    driver = schedule_driver(settings)

    assert schedule_url(settings) == kept
    assert driver._prefix == prefix
