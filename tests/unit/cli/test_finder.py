"""An app is found wherever people put it, and what cannot be found is said in one line."""

import pytest

from leveret.cli.finder import find_app, named, wanted
from leveret.errors import ImproperlyConfigured


@pytest.mark.parametrize("attribute", ["app", "leveret", "celery", "queue"])
def test_the_usual_names_and_the_only_instance_are_found(module, attribute):
    name = module(app=attribute)

    assert find_app(name).path == f"{name}:{attribute}"


def test_app_comes_before_other_instances(module):
    name = module("other = Leveret('other')\n")

    assert find_app(name).app.main == "tasks"


def test_two_instances_without_a_usual_name_must_be_chosen_from(module):
    name = module("two = Leveret('two')\n", app="one")

    with pytest.raises(ImproperlyConfigured, match=f"has 2 apps; say which: {name}:one, {name}:two"):
        find_app(name)

    assert find_app(f"{name}:two").app.main == "two"
    assert find_app(f"{name}.two").app.main == "two"


@pytest.mark.parametrize("submodule", ["leveret", "celery", "app", "tasks"])
def test_a_package_is_searched_by_its_usual_submodules(module, project, submodule):
    package = f"p{submodule}"
    module(name=f"{package}.{submodule}", app="made")
    (project / package / "__init__.py").touch()

    assert find_app(package).path == f"{package}.{submodule}:made"


def test_a_package_that_re_exports_its_app_is_found_at_the_door(module, project):
    module(name="door.inner")
    (project / "door" / "__init__.py").write_text("from door.inner import app\n")

    assert find_app("door").path == "door:app"


def test_a_module_without_an_app_says_so(project):
    (project / "empty_module.py").write_text("x = 1\n")

    with pytest.raises(ImproperlyConfigured, match="no Leveret app in empty_module"):
        find_app("empty_module")
    with pytest.raises(ImproperlyConfigured, match="empty_module:x is an int, not a Leveret app"):
        find_app("empty_module:x")


def test_a_missing_attribute_names_the_nearest(module):
    name = module()

    with pytest.raises(ImproperlyConfigured, match=f"has no 'ap'; did you mean {name}:app"):
        find_app(f"{name}:ap")


def test_a_missing_module_names_the_nearest(module):
    module(name="photos")

    with pytest.raises(ImproperlyConfigured, match="no module named 'photo' in .*; did you mean photos"):
        find_app("photo")


def test_an_app_s_name_that_is_no_module_is_told_apart(module):
    module(name="web.worker", title="shop")

    with pytest.raises(
        ImproperlyConfigured, match=r"'shop' is the name of the app in web/worker.py; say -A web.worker"
    ):
        find_app("shop")


def test_a_file_is_answered_with_its_module(module):
    with pytest.raises(ImproperlyConfigured, match="is a file; name the module: -A web.tasks"):
        find_app("./web/tasks.py")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import no_such_thing\n", "line 6: ModuleNotFoundError: No module named 'no_such_thing'"),
        ("1 / 0\n", "line 6: ZeroDivisionError: division by zero"),
        ("def broken(:\n", "line 6: SyntaxError"),
        ("raise SystemExit(3)\n", "line 6: SystemExit: 3"),
    ],
)
def test_an_app_that_does_not_import_says_where_in_one_line(module, text, error):
    name = module(text)

    with pytest.raises(ImproperlyConfigured) as raised:
        find_app(name)

    assert f"{name}.py, {error}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_option_is_stronger_than_the_variable_and_that_than_the_file(project):
    (project / "pyproject.toml").write_text('[tool.leveret]\napp = "from_file"\n')
    below = project / "below"
    below.mkdir()

    assert wanted("option", {"LEVERET_APP": "variable"}, below) == "option"
    assert wanted(None, {"LEVERET_APP": "variable"}, below) == "variable"
    assert wanted(None, {}, below) == "from_file"


def test_no_app_named_anywhere_says_how_to_name_one(project):
    assert named(None, {}, project) is None
    with pytest.raises(ImproperlyConfigured, match="-A module.*LEVERET_APP.*tool.leveret"):
        wanted(None, {}, project)


def test_a_wrong_setting_is_told_as_such_with_the_apps_own_line(module, monkeypatch, project):
    name = module("app.conf.settings\n")
    monkeypatch.setenv("LEVERET_TASK_TIME_LIMIT", "soon")

    with pytest.raises(ImproperlyConfigured) as caught:
        find_app(name)

    assert str(caught.value).startswith("LEVERET_TASK_TIME_LIMIT in the environment: task_time_limit is 'soon'")
    assert str(caught.value).endswith(f"(-A {name}, {project}/{name}.py, line 6)")
