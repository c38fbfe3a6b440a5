"""What holds for every test."""

import os

import hypothesis
import pytest

# How long an example takes is the machine's business: a test that measures says so itself.
hypothesis.settings.register_profile("leveret", deadline=None)
hypothesis.settings.load_profile("leveret")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that could not run because something is not installed fails in CI; elsewhere it is skipped."""
    report = yield
    if report.skipped and os.environ.get("CI") and "is not installed" in str(report.longrepr):
        report.outcome = "failed"
    return report
