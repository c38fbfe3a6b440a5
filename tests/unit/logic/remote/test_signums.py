"""Signals by all the names people use."""

import pytest

from leveret.logic.remote.signums import signal_number


@pytest.mark.parametrize("named", ["TERM", "SIGTERM", "sigterm", " 15 ", 15])
def test_a_signal_is_read(named: object) -> None:
    assert signal_number(named) == 15


@pytest.mark.parametrize("named", ["SIGTREM", "", "0", 99, -9, None, [], "SIG_IGN"])
def test_what_is_none_is_named(named: object) -> None:
    with pytest.raises(ValueError, match="is no signal"):
        signal_number(named)
