"""A Celery app as people have it: `celery -A tests.interop.rabbitmq.celery_app worker`."""

import json
import os

import celery.exceptions
from celery import Celery
from kombu import Queue
from tests.interop.rabbitmq import shared_tasks

app = Celery("interop", broker=os.environ["INTEROP_BROKER"], backend=os.environ.get("INTEROP_BACKEND", "rpc://"))
app.conf.update(
    accept_content=["json", "msgpack", "yaml"],
    result_accept_content=["json", "msgpack", "yaml"],
    broker_connection_retry_on_startup=True,
)
app.conf.update(json.loads(os.environ.get("INTEROP_SETTINGS", "{}")))
if "INTEROP_QUEUES" in os.environ:
    app.conf.task_queues = [Queue(**queue) for queue in json.loads(os.environ["INTEROP_QUEUES"])]
shared_tasks.define(app, "celery", celery.exceptions)
