"""`celery.signals`, which has nothing here yet: whoever ports a program is told so, not that the path is wrong."""

raise ImportError("leveret.celery.signals is not here yet: signals come with a later version", name=__name__)
