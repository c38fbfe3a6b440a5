"""A worker and its clients as users of Redis's access lists: with just the rights that are documented, and without
channels, with which Celery's worker does not even start."""

import re
import time

import pytest
from tests.interop.sides.processes import ROOT, until
from tests.interop.sides.sites import RedisSite

from leveret.links.redis.refusals import BROKER_RIGHTS

PAGE = ROOT / "docs" / "reference" / "redis-keys.md"
KEYS = ("~leveret:*", "~celery-task*", "~_kombu.binding*", "~*.reply.celery.pidbox", "~work", "~work\x06\x16*")


def as_user(site: RedisSite, *rules: str) -> dict[str, str]:
    """The site for somebody who has only these rules."""
    site.server.call("ACL", "SETUSER", "someone", "reset", "on", ">secret", *rules)
    site.server.call("ACL", "LOG", "RESET")
    url = site.server.url_as("someone", "secret")
    return {"INTEROP_BROKER": url, "INTEROP_BACKEND": url, "INTEROP_PROFILE": "leveret"}


def refused(site: RedisSite) -> str:
    return site.server.call("ACL", "LOG")


@pytest.mark.parametrize("source", ["the code", "the page", "without what may be left out"])
def test_the_rights_we_ask_for_are_enough(source: str, site: RedisSite) -> None:
    listed = re.search(r"ACL SETUSER queue on >secret (.*)", PAGE.read_text())
    assert listed is not None
    words = BROKER_RIGHTS.split() if source == "the code" else [word for word in listed[1].split() if word[0] == "+"]
    if source == "without what may be left out":
        words = [word for word in words if word not in ("+info", "+brpop") and not word.startswith("+client")]
    user = as_user(site, *KEYS, "&*", *words)
    worker = site.start("leveret", "w", ["-P", "prefork", "-c", "1", "-Q", "work"], **user)

    with site.another_client("leveret", **user) as client:
        assert client.send_task("interop.add", (1, 2), queue="work").get(timeout=30) == 3
        assert client.send_task("interop.add", (1, 2), queue="work", countdown=0.2).get(timeout=30) == 3
        assert client.send_task("interop.retry", (2,), queue="work", priority=3).get(timeout=30)[0] == 2
        with pytest.raises(ValueError):
            client.send_task("interop.fail", ("ValueError",), queue="work").get(timeout=30)
        assert "w@interop" in site.operate("status", **user)
    assert "work" in site.operate("queues", "work", **user)
    assert worker.stop() == 0
    assert refused(site) == "*0" or source == "without what may be left out"


def test_without_channels_it_works_and_one_line_gives_the_rule(site: RedisSite) -> None:
    user = as_user(site, "~*", "+@all")
    worker = site.start("leveret", "w", ["-P", "prefork", "-c", "2", "-Q", "work"], **user)

    with site.another_client("leveret", **user) as client:
        assert client.send_task("interop.add", (1, 2), queue="work").get(timeout=30) == 3
        began = time.monotonic()
        assert client.send_task("interop.add", (1, 2), queue="work").get(timeout=30) == 3
        assert time.monotonic() - began < 3  # the look of the watcher, and that of the waiter

    until(lambda: "ACL SETUSER" in worker.log)
    told = [line for line in worker.log.splitlines() if "ACL SETUSER <user> &*" in line]
    assert len({line.partition("WARNING/")[2].partition("]")[0] for line in told}) == len(told), "once a process"
