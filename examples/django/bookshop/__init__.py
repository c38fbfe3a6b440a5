# So that `shared_task` finds the app whenever Django starts; the line that Celery's documentation asks for.
from .celery import app as celery_app

__all__ = ("celery_app",)
