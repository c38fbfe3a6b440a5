"""TLS, sockets in the file system, sentinels: real servers of each kind, both faces."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.integration.redis.rig import driver, success
from tests.integration.redis.server import Sentinel, Server, nobody, until
from tests.servers.availability import redis_server, require
from tests.servers.host.ports import HOST
from tests.servers.redis import RedisOptions

from leveret.errors import ImproperlyConfigured, OperationalError


def both_ways(drv) -> None:
    """Store and wait on each face."""

    async def main() -> None:
        backend = drv.backend()
        assert await backend.store((success("a"),)) == (True,)
        assert (await backend.wait(["a"], 5))[0].id == "a"
        await backend.close()

    asyncio.run(main())
    face = drv.blocking_backend()
    assert face.store((success("b"),)) == (True,)
    assert face.wait(["a", "b"], 5)[1].id == "b"
    face.close()
    face.get(["a"])
    face.close()


@pytest.fixture(scope="module")
def tls_server() -> Iterator[Server]:
    """It asks its clients for a certificate."""
    require(redis_server)
    with Server(RedisOptions(tls=True)) as server:
        yield server


def files(server: Server, *names: str) -> dict[str, str]:
    options = {"ssl_ca_certs": "authority", "ssl_certfile": "client", "ssl_keyfile": "client_key"}
    return {option: str(getattr(server.certificates, options[option])) for option in names or options}


def test_tls_with_a_certificate_of_our_own(tls_server):
    query = "&".join(f"{option}={path}" for option, path in files(tls_server).items())

    both_ways(driver(f"{tls_server.url}?{query}"))


def test_tls_by_the_setting(tls_server):
    drv = driver(tls_server.url.replace("rediss://", "redis://"), ssl=files(tls_server))

    assert drv.blocking_backend().get(["nobody"]) == (None,)


@pytest.mark.parametrize(
    ("names", "said"),
    [(("ssl_certfile", "ssl_keyfile"), "certificate verify failed"), (("ssl_ca_certs",), "cannot reach Redis")],
    ids=["unknown authority", "no certificate of ours"],
)
@pytest.mark.parametrize("face", ["loop", "thread"])
def test_tls_that_is_not_as_it_should_be(tls_server, names, said, face):
    drv = driver(tls_server.url, ssl=files(tls_server, *names))

    with pytest.raises(OperationalError, match=said):
        asyncio.run(drv.backend().get(["a"])) if face == "loop" else drv.blocking_backend().get(["a"])


def test_tls_files_that_are_not_there(tmp_path):
    drv = driver("rediss://localhost", ssl={"ssl_ca_certs": str(tmp_path / "nothing.pem")})

    for attempt in (
        lambda: drv.blocking_backend().get(["a"]),
        lambda: asyncio.run(drv.backend().get(["a"])),
        lambda: asyncio.run(drv.backend().wait(["a"], 5)),
        lambda: drv.blocking_backend().wait(["a"], 5),
    ):
        with pytest.raises(ImproperlyConfigured, match=r"nothing\.pem"):
            attempt()


@pytest.mark.parametrize("scheme", ["unix", "redis+socket"])
def test_a_socket_in_the_file_system(tmp_path, scheme):
    require(redis_server)
    path = tmp_path / "redis.sock"
    with Server(RedisOptions(conf=(f'unixsocket "{path}"',))) as server:
        both_ways(driver(f"{scheme}://{path}?virtual_host=2"))
        assert server.cli("-n", 2, "DBSIZE") == "2"
        with pytest.raises(OperationalError, match="cannot reach Redis"):
            driver(f"{scheme}://{tmp_path}/nothing.sock").blocking_backend().get(["a"])


@pytest.fixture
def fleet() -> Iterator[tuple[Server, Server, Server]]:
    """A master, its replica, and a sentinel that watches them."""
    require(redis_server)
    with (
        Server() as master,
        Server(RedisOptions(conf=(f"replicaof {HOST} {master.port}",))) as replica,
        Sentinel(master) as sentinel,
    ):
        yield master, replica, sentinel


def test_the_sentinels_master_is_found_and_so_is_the_next(fleet):
    master, replica, sentinel = fleet
    drv = driver(f"sentinel://127.0.0.1:{nobody()}/1;sentinel://127.0.0.1:{sentinel.port}/1", master_name="main")
    both_ways(drv)
    assert master.cli("-n", 1, "DBSIZE") == "2"
    until(
        lambda: replica.info("master_link_status") == "up" and sentinel.info("master0").endswith("slaves=1,sentinels=1")
    )

    async def main() -> None:
        backend = drv.backend()
        wait = asyncio.create_task(backend.wait(["c"], 60))
        await asyncio.to_thread(master.until_subscribed, "celery-task-meta-c")
        master.kill()
        await asyncio.to_thread(until, lambda: replica.info("role") == "master")
        storing = drv.backend()
        await asyncio.to_thread(until, lambda: asyncio.run(_stores(drv)))
        assert (await asyncio.wait_for(wait, 15))[0].id == "c"
        await backend.close()
        await storing.close()

    asyncio.run(main())
    face = drv.blocking_backend()
    assert face.get(["c"])[0].id == "c"
    face.close()


async def _stores(drv) -> bool:
    """As a worker does: again, until it is done."""
    backend = drv.backend()
    try:
        await backend.store((success("c"),))
    except OperationalError:
        return False
    finally:
        await backend.close()
    return True
