"""Sites: a broker, the stores beside it, and the workers started there; Celery's side and ours meet on one."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from amqp.exceptions import InternalError, NotFound
from kombu import Connection
from tests.interop.sides.apps import MAKERS
from tests.interop.sides.lines import Kind, Line, tag
from tests.interop.sides.processes import LEVERET_APP, ROOT, Notes, WorkerProcess, until
from tests.servers.rabbit.remote import Rabbit, Vhost
from tests.servers.redis import RedisServer


class Site:
    """Its workers stay until the session ends. `stores`: by the names that lines give them, the usual one first."""

    kind: str

    def __init__(self, broker_url: str, stores: Mapping[str, str], folder: Path) -> None:
        self.broker_url, self.stores, self.folder = broker_url, stores, folder
        self.usual = next(iter(stores))
        self.notes = Notes(folder / "notes")
        self._workers: dict[str, WorkerProcess] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, side: str, results: str = "") -> Any:
        """The sending side's app in this process: Celery's or ours, whose words are the same."""
        results = results or self.usual
        made = self._clients.get((side, results))
        if made is None:
            made = self._clients[side, results] = self.another_client(side, results)
        return made

    def another_client(self, side: str, results: str = "", **environment: str) -> Any:
        """A sender of one's own, to be closed; `environment` as for a worker."""
        return MAKERS[side]({**self.places(results), **environment})

    def places(self, results: str = "") -> dict[str, str]:
        """What an app of either side is told of this site."""
        return {
            "INTEROP_BROKER": self.broker_url,
            "INTEROP_BACKEND": self.stores[results or self.usual],
            "INTEROP_NOTES": str(self.notes.path),
        }

    def workers(self) -> tuple[WorkerProcess, ...]:
        return tuple(self._workers.values())

    def start(self, side: str, name: str, options: list[str], **environment: str) -> WorkerProcess:
        """Start a worker on this site."""
        worker = WorkerProcess(side, name, self.folder, {**self.places(), **environment}, options)
        self._workers[name] = worker
        return worker

    def line(self, kind: Kind) -> Line:
        """The worker of a line, started when it is first needed."""
        queue = f"{kind.worker}-{kind.pool}-{kind.results}"
        line = Line(kind=kind, site=self, client=self.client(kind.client, kind.results), queue=queue)
        if queue not in self._workers:
            # Two processes of Celery's overwrite each other's states in a store: RETRY over the SUCCESS that followed.
            size = "1" if kind.pool == "solo" or (kind.worker, kind.results) == ("celery", "same") else "2"
            options = ["-P", kind.pool, "-c", size, "-Q", queue]
            self.start(kind.worker, queue, options, INTEROP_BACKEND=self.stores[kind.results])
            assert line.run("interop.who", timeout=60)[0] == kind.worker
        line.worker = self._workers[queue]
        return line

    def until_run_by(self, side: str, queue: str) -> None:
        """Wait until that side has run something from the queue."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            self.client(side).send_task("interop.note", kwargs={"tag": (mark := tag())}, queue=queue)
            if self.notes.wait(tag=mark, timeout=60)[0]["side"] == side:
                return
        raise AssertionError(f"{side} ran nothing from {queue} for a minute")

    def until_log(self, name: str, words: str) -> None:
        """Wait until a worker has said so."""
        until(lambda: words in self._workers[name].log, 60)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel of kombu's, for what neither side does."""
        with Connection(self.broker_url) as connection, connection.channel() as channel:
            yield channel

    def operate(self, *words: str, **environment: str) -> str:
        """Call `leveret` with our app; answers what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "leveret.cli", *words, "-A", LEVERET_APP],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", **self.places(), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def delayed(self, seconds: int) -> Iterator[tuple[str, str]]:
        """Id and body of messages that have begun to wait so long in our own way of delaying."""
        raise NotImplementedError

    def waiting(self, queue: str) -> int:
        """How many messages are ready."""
        raise NotImplementedError

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        for worker in self._workers.values():
            worker.kill()


class RabbitSite(Site):
    """A vhost, and a Redis for results that are not messages."""

    kind = "rabbitmq"

    def __init__(self, rabbit: Rabbit, vhost: Vhost, redis_url: str, folder: Path) -> None:
        super().__init__(vhost.url, {"rpc": "rpc://", "redis": redis_url}, folder)
        self.rabbit, self.vhost, self.redis_url = rabbit, vhost, redis_url

    def delayed(self, seconds: int) -> Iterator[tuple[str, str]]:
        with self.channel() as channel:
            try:
                while message := channel.basic_get(f"leveret_celery_delayed_{seconds.bit_length() - 1}"):
                    yield message.headers.get("id"), str(message.body)
            except (NotFound, InternalError):  # it is not there, or just being made
                return

    def waiting(self, queue: str) -> int:
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)


class RedisSite(Site):
    """A Redis: results beside the messages, or in another database of it."""

    kind = "redis"

    def __init__(self, server: RedisServer, folder: Path) -> None:
        super().__init__(server.url, {"same": server.url, "apart": f"{server.url[:-1]}1"}, folder)
        self.server = server

    @contextmanager
    def store(self) -> Iterator["redis.Redis"]:
        """A connection of redis-py's, for what neither side does."""
        with redis.Redis.from_url(self.broker_url) as connection:
            yield connection

    def until_run_by(self, side: str, queue: str) -> None:
        """Of ours that it has begun to claim: while a Celery worker is idle too, it gets all that comes one by one."""
        if side == "celery":
            super().until_run_by(side, queue)
            return
        pid = next(worker.process.pid for worker in reversed(self.workers()) if worker.side == side)

        def claims() -> bool:
            with self.store() as store:
                sessions = [json.loads(facts)["incarnation"] for facts in store.hvals("leveret:sessions")]
                nodes = [json.loads(facts) for facts in store.hvals("leveret:nodes")]
            return any(node["pid"] == pid and node["incarnation"] in sessions for node in nodes)

        until(claims, 60)

    def waiting(self, queue: str) -> int:
        with self.store() as store:
            return sum(store.llen(name) for name in (queue, *store.keys(f"{queue}\x06\x16*")))

    def delayed(self, seconds: int) -> Iterator[tuple[str, str]]:
        with self.store() as store:
            due = store.zrange("leveret:delayed", 0, -1, withscores=True)
            for member, score in due:
                raw = store.hget("leveret:delayed:messages", member)
                if raw is not None and score - time.time() > seconds / 2:
                    message = json.loads(raw)
                    yield message["headers"]["id"], base64.b64decode(message["body"]).decode()
