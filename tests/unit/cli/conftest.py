"""A folder with an app in it, and the command line run in this process."""

from dataclasses import dataclass

import pytest
from tests.projects import module, project

from leveret.cli.main import run

__all__ = ["leveret", "module", "project"]


@dataclass
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def leveret(capsys):
    """Run the command line."""

    def call(*arguments: str) -> Answer:
        code = run(arguments)
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call
