"""`celery.worker`, as far as programs import from it."""
