"""`celery.app.control`."""

from leveret.client.control.face import Control
from leveret.client.control.inspecting import Inspect
from leveret.client.control.terms import flatten_reply

__all__ = ["Control", "Inspect", "flatten_reply"]
