"""Drivers of a test's server, and records to store in it."""

import uuid

from tests.integration.redis.server import Server

from leveret.backends.redis import RedisBackendDriver
from leveret.model.endpoint import Url
from leveret.model.message import TaskId
from leveret.model.options import DriverOptions
from leveret.model.settlement import Record
from leveret.wiring.clock import SystemClock


def driver(server: Server | str, publish_timeout: float = 10.0, **transport) -> RedisBackendDriver:
    url = server if isinstance(server, str) else server.url
    options = DriverOptions(publish_timeout=publish_timeout, result_transport=transport)
    return RedisBackendDriver(Url(url), options, SystemClock())


def success(name: str = "", attempt: int = 0, **facts) -> Record:
    name = name or str(uuid.uuid4())
    meta = b'{"status":"SUCCESS","result":5,"traceback":null,"children":[],"task_id":"%s"}' % name.encode()
    fixed = {"state": "SUCCESS", "terminal": True, "meta": meta}
    return Record(id=TaskId(name), attempt=attempt, **{**fixed, **facts})


def started(name: str, attempt: int = 0) -> Record:
    return Record(id=TaskId(name), attempt=attempt, state="STARTED", meta=b'{"status":"STARTED","result":null}')
