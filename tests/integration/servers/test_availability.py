"""A test without its server is skipped; in CI it fails."""

from pathlib import Path

import pytest
from tests.servers.availability import ServerMissing, require


def missing() -> Path:
    raise ServerMissing("Moon is not installed; run tools/servers.sh")


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_server_fails_the_test_in_ci_only(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)

    with pytest.raises(outcome, match="Moon is not installed; run tools/servers.sh"):
        require(missing)
