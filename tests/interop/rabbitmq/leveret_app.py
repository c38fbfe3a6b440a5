"""The same app on Leveret: `leveret worker -A tests.interop.rabbitmq.leveret_app`."""

import json
import os

from tests.interop.rabbitmq import shared_tasks

import leveret.celery.exceptions
from leveret import Leveret, Queue

app = Leveret(
    "interop",
    broker=os.environ["INTEROP_BROKER"],
    backend=os.environ.get("INTEROP_BACKEND", "rpc://"),
    profile=os.environ.get("INTEROP_PROFILE", "celery"),
    accept_content=["json", "msgpack", "yaml"],
)
app.conf.update(json.loads(os.environ.get("INTEROP_SETTINGS", "{}")))
if "INTEROP_QUEUES" in os.environ:
    app.conf.task_queues = [Queue(**queue) for queue in json.loads(os.environ["INTEROP_QUEUES"])]
shared_tasks.define(app, "leveret", leveret.celery.exceptions)
