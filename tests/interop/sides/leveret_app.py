"""`leveret worker -A tests.interop.sides.leveret_app`."""

import os

from tests.interop.sides import shared_tasks
from tests.interop.sides.apps import make_leveret

import leveret.celery.exceptions

app = make_leveret(os.environ)
app.set_current()
shared_tasks.define(app, "leveret", leveret.celery.exceptions)
