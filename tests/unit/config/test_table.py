"""The table holds every setting of Celery 5.7 and every old name Celery knows."""

from celery.app.defaults import _OLD_SETTING_KEYS, _TO_NEW_KEY, DEFAULTS, SETTING_KEYS

from leveret.config.row import Mark
from leveret.config.settings import FIELDS
from leveret.config.table import GROUPS, ROWS, find, nearest


def test_every_setting_of_celery_has_a_row():
    assert len(SETTING_KEYS) == 207
    assert SETTING_KEYS - ROWS.keys() == set()


def test_every_name_has_one_row():
    assert sum(len(rows) for rows in GROUPS.values()) == len(ROWS)


def test_every_old_name_of_celery_means_what_celery_says():
    wrong = {old: row.name if (row := find(old)) else None for old in _OLD_SETTING_KEYS if not _means(old)}

    assert wrong == {}


def _means(old: str) -> bool:
    row = find(old)
    return row is not None and row.name == _TO_NEW_KEY[old]


def test_the_honoured_names_are_the_fields_of_settings():
    assert {name for name, row in ROWS.items() if row.honoured} == set(FIELDS)


def test_a_setting_that_is_not_honoured_reads_as_in_celery():
    wrong = {
        name for name, row in ROWS.items() if name in DEFAULTS and not row.honoured if row.default != DEFAULTS[name]
    }

    assert wrong == set()


def test_every_name_that_is_neither_of_celery_nor_ours_is_retired():
    others = {name for name, row in ROWS.items() if name not in SETTING_KEYS and not row.ours}

    assert others == {row.name for row in GROUPS["Retired names"]}


def test_every_row_says_something():
    assert [name for name, row in ROWS.items() if not row.note] == []


def test_names_people_paste_are_known():
    for name in (
        "BROKER_URL",
        "CELERYD_CONCURRENCY",
        "CELERY_BACKEND",
        "CELERY_RESULT_BACKEND",
        "CELERY_TASK_SERIALIZER",
        "CELERY_ACCEPT_CONTENT",
        "CELERY_DEFAULT_QUEUE",
        "CELERYBEAT_SCHEDULE",
        "CELERY_BROKER_URL",
        "CELERY_TASK_TRACK_STARTED",
        "CELERY_WORKER_CONCURRENCY",
        "task_queue_ha_policy",
    ):
        assert find(name) is not None, name


def test_a_retired_name_says_what_became_of_it():
    row = find("task_queue_ha_policy")

    assert row is not None
    assert row.mark is Mark.NOT_NEEDED
    assert "quorum" in row.note


def test_the_nearest_name_is_found():
    assert nearest("task_serialiser") == "task_serializer"
    assert nearest("zzzzzz") is None
