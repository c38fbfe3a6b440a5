"""Settings read from Django's, as its projects write them."""

import logging
from typing import Any

import pytest

from leveret.config.configuration import Configuration

conf = pytest.importorskip("django.conf", reason="Django is not installed")


@pytest.mark.parametrize(
    ("namespace", "settings"),
    [
        ("CELERY", {"CELERY_BROKER_URL": "memory://here", "CELERY_WORKER_CONCURRENCY": 3}),
        ("LEVERET", {"LEVERET_BROKER_URL": "memory://here", "LEVERET_WORKER_CONCURRENCY": 3}),
        (None, {"BROKER_URL": "memory://here", "CELERYD_CONCURRENCY": 3}),
    ],
)
def test_a_namespace_of_djangos_settings_is_read(
    namespace: str | None, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    # No SECRET_KEY: asking Django for it raises, and it is not ours.
    source = conf.LazySettings()
    source.configure(CACHES={}, DATABASES={}, **settings)
    ours = Configuration(environ={})

    ours.config_from_object(source, namespace=namespace)

    with caplog.at_level(logging.WARNING):
        assert (ours.broker_url, ours.worker_concurrency) == ("memory://here", 3)
    assert caplog.text == "", "Django's own settings are nobody's misspelling"
