"""`leveret worker -A tests.interop.rabbitmq.leveret_app`."""

import os

from tests.interop.rabbitmq import shared_tasks
from tests.interop.rabbitmq.apps import make_leveret

import leveret.celery.exceptions

app = make_leveret(os.environ)
app.set_current()
shared_tasks.define(app, "leveret", leveret.celery.exceptions)
