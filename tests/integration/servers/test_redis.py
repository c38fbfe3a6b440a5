"""Redis for tests: killed and started again, with users, with TLS."""

from collections.abc import Iterator

import pytest
from tests.servers.availability import redis_server, require
from tests.servers.redis import RedisOptions, RedisServer


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    require(redis_server)
    with RedisServer(request.param) as server:
        yield server


def test_what_was_answered_survives_kill_9(own_redis: RedisServer) -> None:
    own_redis.call("SET", "task", "kept")

    own_redis.kill()
    own_redis.start()

    assert own_redis.call("GET", "task") == "$4\r\nkept"


@pytest.mark.parametrize(
    "start", [RedisOptions(acl=("user default off", "user tq on >secret ~* &* +@all"))], indirect=True
)
def test_only_known_users_are_let_in(start: RedisServer) -> None:
    assert start.call("GET", "task").startswith("-NOAUTH")
    assert start.call("SET", "task", "done", user="tq", password="secret") == "+OK"
    assert start.url_as("tq", "secret") == f"redis://tq:secret@127.0.0.1:{start.port}/0"


@pytest.mark.parametrize("start", [RedisOptions(tls=True)], indirect=True)
def test_tls_asks_the_client_for_a_certificate(start: RedisServer) -> None:
    assert start.call("PING") == "+PONG"
    assert start.url.startswith("rediss://")
