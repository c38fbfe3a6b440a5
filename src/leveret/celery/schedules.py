"""`celery.schedules`, which has nothing here yet: whoever ports a program is told so, not that the path is wrong."""

raise ImportError("leveret.celery.schedules is not here yet: periodic tasks come with a later version", name=__name__)
