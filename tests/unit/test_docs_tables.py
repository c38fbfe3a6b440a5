"""The reference pages name everything there is."""

import re
from pathlib import Path

import pytest

from leveret.cli.main import VERBS
from leveret.client.tasks.declared import Declared

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
NOT_OPTIONS = {"abstract", "MaxRetriesExceededError", "run"}


@pytest.mark.parametrize("option", sorted({*Declared.__annotations__} - NOT_OPTIONS))
def test_every_option_of_a_task_is_in_the_reference(option: str) -> None:
    assert f"`{option}`" in (REFERENCE / "task-options.md").read_text()


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_is_in_the_reference(verb: str) -> None:
    assert f"| `{verb}" in (REFERENCE / "cli.md").read_text()


def test_every_test_the_promises_name_exists() -> None:
    named = re.findall(r"`((?:tests|bench)/[\w/]+\.py)`", (REFERENCE / "guarantees.md").read_text())

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
