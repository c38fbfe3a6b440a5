"""Settings and transport options in kombu's words: the same ones given to both sides, and they find each other."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.interop.sides.sites import RedisSite
from tests.servers.availability import redis_server, require
from tests.servers.redis import RedisOptions, RedisServer

OTHER = {"celery": "leveret", "leveret": "celery"}
OPTIONS: dict[str, dict[str, Any]] = {
    "a prefix": {"global_keyprefix": "app:"},
    "a prefix as it stands": {"global_keyprefix": "app"},
    "two steps": {"priority_steps": [0, 5]},
    "the rest": {
        "queue_order_strategy": "sorted",
        "socket_timeout": 5,
        "socket_keepalive": True,
        "visibility_timeout": 60,
    },
}


@pytest.mark.parametrize("worker", ["leveret", "celery"])
@pytest.mark.parametrize("name", OPTIONS)
def test_transport_options_mean_the_same(name: str, worker: str, site: RedisSite) -> None:
    given = {"INTEROP_SETTINGS": json.dumps({"broker_transport_options": OPTIONS[name]})}
    site.start(worker, worker, ["-P", "solo", "-Q", "a,b"], **given)

    with site.another_client(OTHER[worker], **given) as client:
        results = [
            client.send_task("interop.who", queue=queue, priority=step) for queue in "ab" for step in (0, 4, 5, 9)
        ]
        assert [result.get(timeout=30)[0] for result in results] == [worker] * 8

    prefix = OPTIONS[name].get("global_keyprefix", "")
    with site.store() as store:
        names = [key.decode() for key in store.keys("*")]
    assert all(key.startswith((prefix, "celery-task-meta-", "leveret:{")) for key in names), names


@pytest.mark.parametrize("worker", ["leveret", "celery"])
def test_tls_with_certificates_by_the_settings_of_both(worker: str, tmp_path: Path) -> None:
    require(redis_server)
    with RedisServer(RedisOptions(tls=True)) as server:
        files = server.certificates
        assert files is not None
        words = {
            "ssl_cert_reqs": "required",
            "ssl_ca_certs": str(files.authority),
            "ssl_certfile": str(files.client),
            "ssl_keyfile": str(files.client_key),
        }
        given = {"INTEROP_SETTINGS": json.dumps({"broker_use_ssl": words, "redis_backend_use_ssl": words})}
        site = RedisSite(server, tmp_path)
        site.start(worker, worker, ["-P", "solo", "-Q", "work"], **given)

        with site.another_client(OTHER[worker], **given) as client:
            result = client.send_task("interop.add", (1, 2), queue="work")
            assert result.get(timeout=30) == 3
            del result  # Celery's takes leave of its channel, for which Redis has to be there
        site.close()


PROFILES = {"leveret": [9, 6, 5, 3, 0], "celery": [0, 3, 5, 6, 9]}


@pytest.mark.parametrize("profile", PROFILES)
def test_which_priority_comes_first_follows_the_profile(profile: str, site: RedisSite) -> None:
    with site.another_client("leveret", INTEROP_PROFILE=profile) as client:
        for priority in (3, 9, 0, 6, 5):
            client.send_task("interop.note", (priority,), {"tag": "one"}, queue="work", priority=priority)

    site.start("leveret", "w", ["-P", "solo", "-Q", "work"], INTEROP_PROFILE=profile)

    ran = [note["args"][0] for note in site.notes.wait(5, tag="one", timeout=30)]
    # Celery's steps are 0, 3, 6 and 9: 5 waits with 3, and they go in the order in which they were sent.
    assert ran == PROFILES[profile]
