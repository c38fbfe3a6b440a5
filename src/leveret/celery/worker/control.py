"""`celery.worker.control`: commands that an app adds to remote control."""

from leveret.client.control.custom import control_command, inspect_command

__all__ = ["control_command", "inspect_command"]
