"""`app.conf` takes settings from every source, says where each came from, and refuses what it does not know."""

import copy
import logging
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import pytest

from leveret.config.configuration import Configuration
from leveret.errors import ImproperlyConfigured, UnknownSetting


def configuration(values=None, environ=None, **more):
    return Configuration(values, environ=environ or {}, **more)


@pytest.fixture
def settings_module(monkeypatch):
    module = ModuleType("somewhere_settings")
    monkeypatch.setitem(sys.modules, "somewhere_settings", module)
    return module


def test_a_setting_is_read_and_set_by_attribute_key_and_update():
    conf = configuration()

    conf.task_serializer = "yaml"
    conf["result_serializer"] = "msgpack"
    conf.update({"task_track_started": True}, worker_concurrency=3)

    assert conf.settings.task_serializer == conf["task_serializer"] == conf.get("task_serializer") == "yaml"
    assert conf.result_serializer == "msgpack"
    assert (conf.task_track_started, conf.worker_concurrency) == (True, 3)


def test_celery_s_old_names_set_the_new_ones():
    conf = configuration({"CELERYD_CONCURRENCY": 5, "CELERY_DEFAULT_QUEUE": "mine"})

    assert conf.settings.worker_concurrency == 5
    assert conf.CELERY_DEFAULT_QUEUE == "mine"


def test_a_change_makes_new_settings_and_leaves_the_old_ones_alone():
    conf = configuration()
    before = conf.settings

    conf.task_default_queue = "other"

    assert before.task_default_queue == "default"
    assert conf.settings.task_default_queue == "other"


def test_without_a_change_the_settings_are_the_same_value():
    conf = configuration({"task_routes": {"a": "b"}})

    assert conf.settings is conf.settings


def test_a_change_inside_a_container_is_a_change():
    conf = configuration({"task_routes": {"a": "b"}})
    before = conf.settings

    conf.task_routes["c"] = "d"

    assert before.task_routes == {"a": "b"}
    assert conf.settings.task_routes == {"a": "b", "c": "d"}


def test_a_default_container_may_be_filled():
    conf = configuration()

    conf.beat_schedule["every"] = {"task": "t"}
    conf.broker_transport_options["x"] = 1

    assert conf.beat_schedule == {"every": {"task": "t"}}
    assert conf.broker_transport_options == {"x": 1}
    assert conf.origin("beat_schedule") == "code"
    assert configuration().beat_schedule == {}


@pytest.mark.parametrize(
    "attempt",
    [
        lambda conf: conf.task_serialiser,
        lambda conf: setattr(conf, "task_serialiser", "json"),
        lambda conf: conf.update(task_serialiser="json"),
        lambda conf: conf["task_serialiser"],
        lambda conf: Configuration({"task_serialiser": "json"}),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_name(attempt):
    with pytest.raises(UnknownSetting, match="unknown setting task_serialiser; did you mean task_serializer"):
        attempt(configuration())


def test_an_unknown_name_can_be_asked_for():
    conf = configuration()

    assert not hasattr(conf, "nonsense")
    assert conf.get("nonsense", 7) == 7
    assert "nonsense" not in conf
    assert "task_serializer" in conf


def test_a_wrong_value_is_refused_where_it_is_set_and_nothing_is_kept():
    conf = configuration()

    with pytest.raises(ImproperlyConfigured):
        conf.update(task_serializer="yaml", worker_concurrency="many")

    assert conf.task_serializer == "json"


def test_the_strongest_origin_wins():
    conf = configuration(
        {"worker_concurrency": 3}, {"LEVERET_WORKER_CONCURRENCY": "4", "LEVERET_TASK_SERIALIZER": "yaml"}
    )
    conf.config_from_object({"worker_concurrency": 2, "task_serializer": "msgpack", "result_serializer": "yaml"})
    assert (conf.worker_concurrency, conf.origin("worker_concurrency")) == (4, "environment")

    conf.override({"worker_concurrency": 5})

    assert (conf.worker_concurrency, conf.origin("worker_concurrency")) == (5, "command line")
    assert (conf.task_serializer, conf.origin("task_serializer")) == ("yaml", "environment")
    assert (conf.result_serializer, conf.origin("result_serializer")) == ("yaml", "object or file")
    assert conf.origin("task_track_started") == "default"


def test_code_beats_an_object_whichever_came_first():
    conf = configuration()
    conf.task_serializer = "yaml"
    conf.config_from_object({"task_serializer": "msgpack"})

    assert conf.task_serializer == "yaml"


def test_an_unknown_variable_is_an_error_with_the_nearest_one():
    conf = configuration(environ={"LEVERET_BROKER_ULR": "memory://"})

    with pytest.raises(UnknownSetting, match="LEVERET_BROKER_ULR in the environment; did you mean LEVERET_BROKER_URL"):
        _ = conf.settings


def test_variables_of_ours_that_are_no_settings_are_left_alone():
    environ = {"LEVERET_APP": "x", "LEVERET_CHAOS": "full", "LEVERET__PLAN": "3", "LEVERET_BROKER_URL": "", "PATH": ""}

    assert configuration(environ=environ).settings.broker_url is None


def test_an_object_is_read_when_a_setting_is_first_needed(settings_module):
    conf = configuration()
    conf.config_from_object("somewhere_settings")

    settings_module.task_serializer = "yaml"

    assert conf.task_serializer == "yaml"


def test_a_django_namespace_takes_only_names_with_its_prefix(settings_module, caplog):
    settings_module.CELERY_BROKER_URL = "memory://"
    settings_module.CELERY_TASK_TRACK_STARTED = True
    settings_module.TASK_SERIALIZER = "yaml"
    settings_module.DEBUG = True
    conf = configuration()

    conf.config_from_object("somewhere_settings", namespace="CELERY")

    assert conf.settings.broker_url == "memory://"
    assert conf.task_track_started
    assert conf.task_serializer == "json"
    assert not caplog.records


def test_unknown_names_of_a_namespace_are_one_warning(settings_module, caplog):
    settings_module.CELERY_BROKER_ULR = "memory://"
    settings_module.CELERY_NONSENSE = 1
    conf = configuration()
    conf.config_from_object("somewhere_settings", namespace="CELERY")

    with caplog.at_level(logging.WARNING):
        _ = conf.settings, conf.settings

    assert len(caplog.records) == 1
    assert "CELERY_BROKER_ULR" in caplog.text
    assert "CELERY_NONSENSE" in caplog.text
    assert "did you mean" in caplog.text


def test_a_module_s_own_helpers_are_not_warned_about(settings_module, caplog):
    settings_module.os = sys
    settings_module.task_helper = lambda: None
    settings_module.DATABASES = {}
    settings_module.here = "/somewhere"
    settings_module.task_seralizer = "json"
    conf = configuration()
    conf.config_from_object("somewhere_settings")

    _ = conf.settings

    assert "task_seralizer" in caplog.text
    assert not {"os", "task_helper", "DATABASES", "here"} & set(caplog.text.replace(";", " ").split())


def test_an_object_may_be_a_class_an_instance_or_an_attribute_of_a_module(settings_module):
    class Settings:
        worker_concurrency = 2

    settings_module.nested = SimpleNamespace(task_serializer="yaml")
    conf = configuration()
    conf.config_from_object(Settings)
    conf.config_from_object("somewhere_settings:nested")

    assert (conf.worker_concurrency, conf.task_serializer) == (2, "yaml")

    conf.config_from_object("somewhere_settings.nested")
    assert conf.task_serializer == "yaml"


def test_a_missing_module_is_one_clear_error_unless_silent():
    silent = configuration()
    silent.config_from_object("no_such_settings_module", silent=True)
    assert silent.task_serializer == "json"

    conf = configuration()
    conf.config_from_object("no_such_settings_module")
    with pytest.raises(ImproperlyConfigured, match="no_such_settings_module"):
        _ = conf.settings


def test_the_module_may_be_named_by_a_variable(settings_module):
    settings_module.task_serializer = "yaml"
    conf = configuration(environ={"MY_CONFIG": "somewhere_settings"})

    assert conf.config_from_envvar("MY_CONFIG")
    assert conf.task_serializer == "yaml"
    assert not conf.config_from_envvar("OTHER", silent=True)
    with pytest.raises(ImproperlyConfigured, match="OTHER is not set"):
        conf.config_from_envvar("OTHER")


def test_settings_not_needed_or_not_yet_there_are_one_remark_each_and_never_fail():
    conf = configuration({"worker_agent": "x:Y", "result_failure_expires": 5, "task_queue_ha_policy": "all"})

    remarks = conf.remarks()

    assert len(remarks) == 3
    assert any(line.startswith("worker_agent is not needed here: ") for line in remarks)
    assert any(line.startswith("result_failure_expires is not yet: ") for line in remarks)
    assert conf.worker_agent == "x:Y"


def test_origins_list_every_honoured_setting_and_mask_passwords():
    conf = configuration({"broker_url": "redis://u:secret@h", "redis_password": "secret"})

    rows = {name: (value, origin) for name, value, origin in conf.origins()}

    assert rows["broker_url"] == ("redis://u:**@h", "code")
    assert rows["redis_password"] == ("**", "code")
    assert rows["task_serializer"] == ("json", "default")
    assert "secret" not in conf.humanize()


def test_without_a_broker_the_queue_lives_in_the_project_of_the_app(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    file = tmp_path / "package" / "tasks.py"

    conf = configuration(app_file=str(file))

    assert conf.settings.broker_url == f"sqlite:///{(tmp_path / '.leveret' / 'queue.db').as_posix()}"
    assert conf.origin("broker_url") == "default"


def test_the_default_queue_follows_a_later_profile():
    conf = configuration()
    conf.profile = "celery"

    assert conf.task_default_queue == conf.settings.task_default_queue == "celery"


def test_threads_that_need_settings_at_once_get_the_same_value(settings_module):
    class Slow:
        @property
        def task_serializer(self):
            time.sleep(0.02)
            return "yaml"

    settings_module.slow = Slow()
    conf = configuration()
    conf.config_from_object("somewhere_settings:slow")
    conf.config_from_object({"result_serializer": "yaml"})
    start, found = threading.Barrier(8), []
    threads = [threading.Thread(target=lambda: (start.wait(), found.append(conf.settings))) for _ in range(8)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len({id(settings) for settings in found}) == 1
    assert (found[0].task_serializer, found[0].result_serializer) == ("yaml", "yaml")


def test_a_half_made_copy_does_not_recurse():
    with pytest.raises((AttributeError, TypeError)):
        copy.deepcopy(configuration())


def test_the_nearest_name_is_written_as_its_author_would(caplog):
    conf = configuration()
    conf.config_from_object({"SHOP_TASK_TIME_LIMT": 5}, namespace="SHOP")

    _ = conf.settings

    assert "did you mean SHOP_TASK_TIME_LIMIT?" in caplog.text


def test_a_wrong_value_of_a_variable_names_the_variable():
    conf = configuration(environ={"LEVERET_TASK_TIME_LIMIT": "soon"})

    with pytest.raises(ImproperlyConfigured, match="^LEVERET_TASK_TIME_LIMIT in the environment: task_time_limit is"):
        _ = conf.settings
