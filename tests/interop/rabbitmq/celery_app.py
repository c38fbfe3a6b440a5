"""`celery -A tests.interop.rabbitmq.celery_app worker`."""

import os

import celery.exceptions
from tests.interop.rabbitmq import shared_tasks
from tests.interop.rabbitmq.apps import make_celery

app = make_celery(os.environ)
app.set_current()
shared_tasks.define(app, "celery", celery.exceptions)
