"""Redis by its URL: every scheme, its settings, and what is said where its package is missing."""

import subprocess
import sys

import pytest

from leveret.backends.redis import RedisBackendDriver
from leveret.backends.redis_cluster import RedisClusterDriver
from leveret.config.settings import Settings
from leveret.errors import ImproperlyConfigured
from leveret.links.redis.location import Tls
from leveret.model.endpoint import Url
from leveret.wiring.clock import SystemClock
from leveret.wiring.drivers import driver_options, open_drivers

SCHEMES = ("redis", "rediss", "unix", "redis+socket", "sentinel")
CLUSTERS = ("redis-cluster", "rediss-cluster")
WITHOUT = """
import sys
sys.modules["hiredis"] = None
from leveret.errors import MissingExtra
from leveret.wiring import parts
try:
    parts.load("backends", sys.argv[1])
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_of_redis_is_a_store(scheme):
    settings = Settings(
        broker_url=Url("memory://redis-part"),
        result_backend=Url(f"{scheme}://u:secret@host/{'1' if scheme != 'unix' else 'x.sock'}"),
        result_backend_transport_options={"master_name": "m"},
    )
    drivers = open_drivers(settings, SystemClock())

    assert isinstance(drivers.backend, RedisBackendDriver)
    assert not drivers.fused
    assert drivers.backend.address.startswith(f"{scheme}://u:**@host/")


@pytest.mark.parametrize("scheme", CLUSTERS)
def test_a_cluster_is_a_store_without_joins(scheme):
    url = f"{scheme}://u:secret@one;{scheme}://two:7000"
    drivers = open_drivers(Settings(broker_url=Url("memory://redis-part"), result_backend=Url(url)), SystemClock())

    assert isinstance(drivers.backend, RedisClusterDriver)
    assert (drivers.remembers, drivers.joins, drivers.remembering) == (True, False, None)
    assert drivers.backend.address == f"{scheme}://u:**@one;{scheme}://two:7000"


def test_a_cluster_has_one_database():
    with pytest.raises(ImproperlyConfigured, match="database 0 and no other"):
        RedisClusterDriver(Url("redis-cluster://host/1"), driver_options(Settings()), SystemClock())


@pytest.mark.parametrize("scheme", [*SCHEMES, *CLUSTERS])
def test_a_missing_package_names_the_extra(scheme):
    done = subprocess.run([sys.executable, "-c", WITHOUT, scheme], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == (
        f"backend {scheme!r} needs a package that is not installed: pip install 'leveret[redis]'"
    )


def test_the_settings_reach_the_driver():
    settings = Settings(
        result_backend=Url("redis://host"),
        result_backend_transport_options={"global_keyprefix": "app"},
        redis_backend_use_ssl={"ssl_ca_certs": "/ca.pem"},
        redis_socket_timeout=7,
        redis_socket_connect_timeout="3",
    )
    driver = RedisBackendDriver(Url("redis://host"), driver_options(settings), SystemClock())

    location = driver._store.location
    assert (location.prefix, location.tls) == ("app_", Tls(ca_file="/ca.pem"))
    assert (location.answer_seconds, location.connect_seconds) == (7.0, 3.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("result_backend_transport_options", "app"), ("redis_backend_use_ssl", "perhaps"), ("redis_socket_timeout", 0)],
)
def test_settings_that_cannot_be_are_refused(name, value):
    with pytest.raises(ImproperlyConfigured, match=name):
        Settings(**{name: value})


def test_redis_py_is_not_imported():
    """It costs a process 0.3 s and 38 MB (docs/adr/0010)."""
    code = "import sys, leveret.backends.redis; print('redis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
