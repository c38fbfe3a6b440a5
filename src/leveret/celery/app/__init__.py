"""`celery.app`."""

from leveret.app import Leveret as Celery
from leveret.app import shared_task
from leveret.client.current import current_app as default_app
from leveret.client.current import default_app as made_last

__all__ = ["Celery", "app_or_default", "default_app", "shared_task"]


def app_or_default(app: Celery | None = None) -> Celery:
    """The app given, else the current one."""
    found = made_last() if app is None else app
    assert isinstance(found, Celery)
    return found
