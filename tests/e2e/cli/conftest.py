"""Real commands in a project's folder."""

from tests.projects import module, project

__all__ = ["module", "project"]
