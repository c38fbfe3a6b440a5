"""Results in a real Redis Cluster of three masters: slots that move, nodes that die, and what is refused."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.redis.rig import started, success
from tests.servers.availability import redis_server, require
from tests.servers.redis_cluster import RedisCluster

from leveret import Leveret, chord, group
from leveret.backends.redis_cluster import RedisClusterDriver
from leveret.errors import ImproperlyConfigured, OperationalError
from leveret.links.redis.cluster.slots import slot_of
from leveret.links.redis.results.records import Keys
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions
from leveret.wiring.clock import SystemClock

FACES = pytest.mark.parametrize("face", ["loop", "thread"])
MANY = [f"many-{number}" for number in range(300)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    require(redis_server)
    with RedisCluster() as cluster:
        yield cluster


class Face:
    """One of the driver's two faces, as a blocking one."""

    def __init__(self, cluster: RedisCluster, face: str, publish_timeout: float = 10.0, **transport) -> None:
        options = DriverOptions(publish_timeout=publish_timeout, result_transport=transport)
        driver = RedisClusterDriver(Url(cluster.url), options, SystemClock())
        self._loop = asyncio.new_event_loop() if face == "loop" else None
        self._backend = driver.blocking_backend() if self._loop is None else driver.backend()

    def __getattr__(self, verb: str):
        def call(*args):
            done = getattr(self._backend, verb)(*args)
            return done if self._loop is None else self._loop.run_until_complete(done)

        return call

    def __enter__(self) -> "Face":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()


def slot(name: str) -> int:
    return slot_of(Keys("").document(name))


@FACES
def test_outcomes_on_all_nodes_are_stored_behind_the_fence(cluster: RedisCluster, face: str):
    names = [f"{face}-{name}" for name in MANY]
    records = tuple(map(success, names))
    with Face(cluster, face) as store:
        assert len({cluster.owner(slot(name)) for name in names[:30]}) == 3

        assert store.store(tuple(map(started, names))) == (True,) * len(names)
        assert store.store(records) == (True,) * len(names)
        assert store.store(records) == (False,) * len(names)
        assert store.get(names) == records
        store.forget(names)

        assert store.get(names) == (None,) * len(names)


@FACES
def test_whoever_waits_is_told_at_once_wherever_the_result_is(cluster: RedisCluster, face: str):
    names = [f"awaited-{face}-{number}" for number in range(12)]
    with Face(cluster, face) as store, Face(cluster, "thread") as other:
        for number, name in enumerate(names):
            timer = threading.Timer(0.1, other.store, [(success(name),)])
            timer.start()
            began = time.monotonic()
            # Of several, on different nodes.
            found = store.wait([name, *(f"never-{face}-{number}-{n}" for n in range(3))], 5.0)
            timer.join()

            assert found == (success(name), None, None, None)
            # The first look behind the channel comes no sooner than 0.375 s after the one before.
            assert time.monotonic() - began < 0.35


@FACES
def test_a_wait_without_a_result_is_over_in_time(cluster: RedisCluster, face: str):
    with Face(cluster, face) as store:
        began = time.monotonic()
        assert store.wait([f"absent-{face}"], 0.2) == (None,)
        assert 0.15 < time.monotonic() - began < 1.0


@FACES
def test_a_slot_may_move_while_its_results_are_used(cluster: RedisCluster, face: str):
    kept, fresh = f"{{{face}-tag}}kept", f"{{{face}-tag}}fresh"
    moving = slot(kept)
    assert slot(fresh) == moving, "the braces decide"
    home = cluster.owner(moving)
    new = (home + 1) % 3
    with Face(cluster, face) as store:
        assert store.store((success(kept),)) == (True,)

        cluster.begin_to_move(moving, new)
        mover = threading.Timer(0.3, cluster.end_move, (moving, new))
        mover.start()
        # ASK, TRYAGAIN at the next owner, and in the end MOVED.
        assert store.store((success(fresh),)) == (True,)
        assert store.get([fresh, kept]) == (success(fresh), success(kept))
        mover.join()

        assert cluster.owner(moving) == new
        assert store.store((success(kept), success(fresh))) == (False, False)


def test_the_keys_are_celerys(cluster: RedisCluster):
    redis = pytest.importorskip("redis.cluster")
    with Face(cluster, "thread", global_keyprefix="shop") as store:
        store.store((success("plain"),))
    node = cluster.nodes[0]
    client = redis.RedisCluster(host="127.0.0.1", port=node.port)

    assert client.get("shop_celery-task-meta-plain").startswith(b'{"status":"SUCCESS"')
    client.close()


@FACES
def test_without_one_of_its_nodes_the_others_serve(cluster: RedisCluster, face: str):
    with Face(cluster, face, publish_timeout=1.0) as store:
        by_node = {cluster.owner(slot(name)): name for name in MANY[:50]}
        store.store(tuple(map(success, by_node.values())))

        cluster.nodes[0].kill()

        with pytest.raises(OperationalError, match=r"cannot reach Redis|broke"):
            while True:
                store.get([by_node[0]])
        assert store.get([by_node[1], by_node[2]]) == (success(by_node[1]), success(by_node[2]))
        cluster.nodes[0].start()
        cluster.settled()
        # Nothing is on its disk.
        assert store.get([by_node[0]]) == (None,)


def test_a_chord_is_refused_where_it_is_sent(cluster: RedisCluster, tmp_path: Path):
    app = Leveret("tasks", broker=f"sqlite:///{tmp_path}/queue.db", backend=cluster.url)

    @app.task
    def add(x: int, y: int) -> int:
        return x + y

    with pytest.raises(ImproperlyConfigured, match="a chord .* needs a store in which its members meet, and redis-cl"):
        chord([add.s(1, 2), add.s(3, 4)])(add.s(5))
    # A group needs no meeting.
    assert len(group(add.s(1, 2), add.s(3, 4)).apply_async().results) == 2
    app.close()


def test_a_lone_redis_says_that_it_is_no_cluster(shared_server):
    driver = RedisClusterDriver(
        Url(shared_server.url.replace("redis://", "redis-cluster://")), DriverOptions(), SystemClock()
    )

    with pytest.raises(OperationalError, match=r"cluster support disabled\. Use redis:// for it"):
        driver.blocking_backend().get(["a"])
