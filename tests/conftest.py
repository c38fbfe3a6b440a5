"""What holds for every test."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that could not run because something is not installed fails in CI; elsewhere it is skipped."""
    report = yield
    if report.skipped and os.environ.get("CI") and "is not installed" in str(report.longrepr):
        report.outcome = "failed"
    return report
