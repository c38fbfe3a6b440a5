"""What `leveret migrate celery --check` reads of a program on Celery. Nothing here changes anything."""
