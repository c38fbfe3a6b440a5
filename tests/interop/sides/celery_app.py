"""`celery -A tests.interop.sides.celery_app worker`."""

import os

import celery.exceptions
from tests.interop.sides import shared_tasks
from tests.interop.sides.apps import make_celery

app = make_celery(os.environ)
app.set_current()
shared_tasks.define(app, "celery", celery.exceptions)
