"""`celery.contrib`."""
