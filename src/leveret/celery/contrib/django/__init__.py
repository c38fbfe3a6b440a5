"""`celery.contrib.django`."""
