"""`celery.app`."""

from leveret.app import Leveret as Celery
from leveret.app import shared_task
from leveret.client.current import default_app

__all__ = ["Celery", "app_or_default", "default_app", "shared_task"]


def app_or_default(app: Celery | None = None) -> Celery:
    """The app given, else the current one."""
    found = default_app() if app is None else app
    assert isinstance(found, Celery)
    return found
