"""Settings are checked where they are made."""

from datetime import timedelta

import pytest

from leveret.config.settings import DEFAULTS, FIELDS, Settings, convert, shown
from leveret.errors import ImproperlyConfigured
from leveret.logic.routing import Queue
from leveret.model.endpoint import Url


def test_the_default_queue_follows_the_profile():
    assert Settings().task_default_queue == "default"
    assert Settings(profile="celery").task_default_queue == "celery"
    assert Settings(profile="celery", task_default_queue="own").task_default_queue == "own"


def test_the_urgent_end_is_low_only_beside_celery_on_redis():
    assert Settings().high_first
    assert Settings(profile="celery", broker_url=Url("amqp://h")).high_first
    assert not Settings(profile="celery", broker_url=Url("redis://h")).high_first


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("task_acks_late", "no", False),
        ("task_acks_late", 1, True),
        ("task_time_limit", "90", 90.0),
        ("task_time_limit", timedelta(minutes=2), 120.0),
        ("task_time_limit", "none", None),
        ("accept_content", "json, yaml", ("json", "yaml")),
        ("accept_content", ["json"], ("json",)),
        ("worker_concurrency", "auto", None),
        ("worker_concurrency", "8", 8),
        ("task_default_priority", "9", 9),
        ("broker_url", ["amqp://a", "amqp://b"], "amqp://a;amqp://b"),
        ("task_routes", '{"a.*": "slow"}', {"a.*": "slow"}),
        ("task_default_rate_limit", 10, "10"),
        ("broker_use_ssl", "false", False),
        ("broker_use_ssl", '{"ca_certs": "/ca.pem"}', {"ca_certs": "/ca.pem"}),
    ],
)
def test_values_are_read_from_code_and_from_text(name, value, expected):
    assert convert(name, value) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", "maybe"),
        ("task_time_limit", 0),
        ("task_time_limit", -1),
        ("task_time_limit", "soon"),
        ("task_default_priority", 256),
        ("worker_concurrency", 0),
        ("worker_concurrency", 1.5),
        ("worker_concurrency", True),
        ("accept_content", [1]),
        ("broker_url", 5),
        ("profile", "celary"),
        ("publish_timeout", None),
        ("message_max_bytes", 10),
    ],
)
def test_a_wrong_value_names_itself_and_what_would_be_right(name, value):
    with pytest.raises(ImproperlyConfigured) as raised:
        Settings(**{name: value})

    assert name in str(raised.value)
    assert repr(value) in str(raised.value)
    assert "must be" in str(raised.value)


def test_a_soft_limit_after_the_hard_one_is_refused():
    with pytest.raises(ImproperlyConfigured, match="task_soft_time_limit is 20 s, after task_time_limit at 10 s"):
        Settings(task_time_limit=10, task_soft_time_limit=20)


def test_results_kept_for_ever_are_none():
    assert Settings(result_expires=0).result_expires is None
    assert Settings(result_expires=None).result_expires is None


def test_converting_twice_changes_nothing():
    once = Settings(broker_url="redis://u:p@h", include="a,b", result_expires=timedelta(hours=1))

    assert Settings(**{name: getattr(once, name) for name in FIELDS}) == once


def test_defaults_are_valid_as_they_stand():
    for name, default in DEFAULTS.items():
        assert convert(name, default) == default


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("broker_url", "redis://u:secret@h/0", "redis://u:**@h/0"),
        ("redis_password", "secret", "**"),
        ("s3_secret_access_key", "secret", "**"),
        ("security_key_password", b"secret", "**"),
        ("broker_transport_options", {"sentinel_password": "secret", "x": 1}, {"sentinel_password": "**", "x": 1}),
        ("redis_password", None, None),
        ("task_queues", [Queue("a"), "b"], ["Queue(a)", "b"]),
        ("task_serializer", "json", "json"),
    ],
)
def test_passwords_are_shown_masked(name, value, text):
    assert shown(name, value) == text


def test_a_wrong_url_does_not_show_its_password_in_the_error():
    with pytest.raises(ImproperlyConfigured) as raised:
        Settings(broker_url={"url": "redis://u:secret@h"})

    assert "secret" not in str(raised.value)
