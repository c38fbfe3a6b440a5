"""Where an app's limits are kept: the broker's server, else where outcomes are; and who says that there is no such place."""

from pathlib import Path

import pytest

from leveret.backends.redis import RedisBackendDriver
from leveret.backends.sql.driver import SqlBackendDriver
from leveret.brokers.memory import MemoryDriver
from leveret.brokers.redis.driver import RedisDriver
from leveret.brokers.sql.driver import SqlDriver
from leveret.config.settings import Settings
from leveret.model.endpoint import Url
from leveret.wiring.client import build_client, connector
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import Drivers, open_drivers

REDIS, RABBITMQ = "redis://127.0.0.1:1/0", "amqp://127.0.0.1:1//"


def settings(broker: str, results: str | None) -> Settings:
    return Settings(broker_url=Url(broker), result_backend=None if results is None else Url(results))


def drivers(broker: str, results: str | None = None) -> Drivers:
    return open_drivers(settings(broker, results), SystemClock())


@pytest.mark.parametrize(
    ("broker", "results", "kind"),
    [
        ("memory://x", None, MemoryDriver),
        ("sqlite:////tmp/never-made.db", None, SqlDriver),
        (REDIS, None, RedisDriver),
        (REDIS, "sqlite:////tmp/never-made.db", RedisDriver),
        ("sqlite:////tmp/never-made.db", REDIS, SqlDriver),
        (RABBITMQ, REDIS, RedisBackendDriver),
        (RABBITMQ, "sqlite:////tmp/never-made.db", SqlBackendDriver),
    ],
)
def test_the_broker_keeps_them_if_it_can_else_the_store(broker: str, results: str | None, kind: type) -> None:
    made = drivers(broker, results)

    assert type(made.limiting()) is kind
    assert made.gate() is not None


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (None, "limits need a result_backend that can keep them, redis:// or sqlite://"),
        ("rpc://", "limits need a result_backend that can keep them, redis:// or sqlite://"),
        ("redis-cluster://127.0.0.1:1", "no limits can be kept in redis-cluster://127.0.0.1:1"),
        ("memory://x", "no limits can be kept in memory://x"),
    ],
)
def test_where_nobody_can_it_is_said_what_would(results: str | None, said: str) -> None:
    made = drivers(RABBITMQ, results)

    assert made.limiting() is None
    assert made.gate() is None
    assert said in made.no_limits


def test_clients_have_the_keys(tmp_path: Path) -> None:
    found = settings(f"sqlite:///{tmp_path}/queue.db", None)

    assert build_client(found).parts.keys is not None
    assert connector(open_drivers(found, SystemClock()))().keys is not None
    assert build_client(settings(RABBITMQ, None)).parts.keys is None
