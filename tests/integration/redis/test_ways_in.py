"""TLS, sockets in the file system, sentinels: real servers of each kind, both faces."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.redis.rig import driver, success
from tests.integration.redis.server import Server, free_port

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
def certificates(tmp_path_factory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for name in ("server", "client"):
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", "x.csr", "-subj", f"/CN={name}"
        )
        openssl(
            *("x509", "-req", "-in", "x.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-extfile", "names", "-out", f"{name}.pem"),
        )
    return folder


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory, certificates: Path) -> Iterator[tuple[Server, int]]:
    port = free_port()
    server = Server(
        tmp_path_factory.mktemp("redis"),
        *("--tls-port", str(port), "--tls-cert-file", str(certificates / "server.pem")),
        *("--tls-key-file", str(certificates / "server.key"), "--tls-ca-cert-file", str(certificates / "ca.pem")),
    )
    yield server, port
    server.kill()


def test_tls_with_a_certificate_of_our_own(tls_server, certificates):
    server, port = tls_server
    server.call("FLUSHALL")
    query = "&".join(
        f"{option}={certificates / name}"
        for option, name in (("ssl_ca_certs", "ca.pem"), ("ssl_certfile", "client.pem"), ("ssl_keyfile", "client.key"))
    )

    both_ways(driver(f"rediss://localhost:{port}/0?{query}"))


@pytest.mark.parametrize(
    ("host", "options", "said"),
    [
        ("localhost", {}, "certificate verify failed"),
        ("127.0.0.1", {"ssl_ca_certs": "ca.pem"}, "certificate verify failed|IP address mismatch|doesn't match"),
        ("localhost", {"ssl_ca_certs": "ca.pem"}, "cannot reach Redis"),
    ],
    ids=["unknown authority", "another name", "no certificate of ours"],
)
@pytest.mark.parametrize("face", ["loop", "thread"])
def test_tls_that_is_not_as_it_should_be(tls_server, certificates, host, options, said, face):
    _, port = tls_server
    files = {name: str(certificates / file) for name, file in options.items()}
    drv = driver(f"rediss://{host}:{port}/0", ssl=files)

    with pytest.raises(OperationalError, match=said):
        asyncio.run(drv.backend().get(["a"])) if face == "loop" else drv.blocking_backend().get(["a"])


def test_tls_files_that_are_not_there(certificates):
    drv = driver("rediss://localhost", ssl={"ssl_ca_certs": str(certificates / "nothing.pem")})

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
    path = tmp_path / "redis.sock"
    server = Server(tmp_path, "--unixsocket", str(path))
    try:
        both_ways(driver(f"{scheme}://{path}?virtual_host=2"))
        assert server.call("-n", 2, "DBSIZE") == "4"
        with pytest.raises(OperationalError, match="cannot reach Redis"):
            driver(f"{scheme}://{tmp_path}/nothing.sock").blocking_backend().get(["a"])
    finally:
        server.kill()


@pytest.fixture
def fleet(tmp_path) -> Iterator[tuple[Server, Server, Server]]:
    """A master, its replica, and a sentinel that watches them."""
    folders = [tmp_path / name for name in ("master", "replica", "sentinel")]
    for folder in folders:
        folder.mkdir()
    master = Server(folders[0])
    replica = Server(folders[1], "--replicaof", f"127.0.0.1 {master.port}")
    config = folders[2] / "sentinel.conf"
    config.write_text(
        f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
        "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
    )
    sentinel = Server(folders[2], sentinel=config)
    servers = (master, replica, sentinel)
    yield servers
    for server in servers:
        server.kill()


def test_the_sentinels_master_is_found_and_so_is_the_next(fleet):
    master, replica, sentinel = fleet
    drv = driver(f"sentinel://127.0.0.1:{free_port()}/1;sentinel://127.0.0.1:{sentinel.port}/1", master_name="main")
    both_ways(drv)
    assert master.call("-n", 1, "DBSIZE") == "4"
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


def until(holds) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
