"""The reference pages name everything there is."""

from pathlib import Path

import pytest

from leveret.cli.main import VERBS
from leveret.client.tasks.declared import Declared

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
NOT_OPTIONS = {"abstract", "MaxRetriesExceededError", "run"}


@pytest.mark.parametrize("option", sorted({*Declared.__annotations__} - NOT_OPTIONS))
def test_every_option_of_a_task_is_in_the_reference(option: str) -> None:
    assert f"`{option}`" in (REFERENCE / "task-options.md").read_text()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_in_the_reference(verb: str) -> None:
    assert f"| `{verb}" in (REFERENCE / "cli.md").read_text()
