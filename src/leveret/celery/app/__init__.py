"""`celery.app`."""

from leveret.app import Leveret as Celery
from leveret.client.current import current_app as default_app
from leveret.client.current import default_app as made_last
from leveret.client.tasks.decorator import shared_task

__all__ = ["Celery", "app_or_default", "default_app", "shared_task"]


def app_or_default(app: Celery | None = None) -> Celery:
    """The app given, else the current one."""
    found = made_last() if app is None else app
    assert isinstance(found, Celery)
    return found
