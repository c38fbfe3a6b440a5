"""The app: shared tasks, modules, lifespan, settings, the default app, where its queue lies."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from leveret import Leveret, Task, current_app, current_task, shared_task, testing
from leveret.client import current
from leveret.client.project import default_broker_url, project_folder
from leveret.errors import ImproperlyConfigured


@pytest.fixture
def alone() -> Iterator[None]:
    """No default app, no shared tasks of other tests."""
    before, shared = current.peek(), current.shared()
    current.set_default(None)
    yield
    current.set_default(before)
    current.restore(shared)


def test_the_last_app_made_is_the_current_one(alone: None) -> None:
    with pytest.raises(ImproperlyConfigured, match="no app yet"):
        _ = current_app.conf
    first = Leveret("one", broker="memory://one")
    Leveret("two", broker="memory://two", set_as_current=False)

    assert current_app.main == first.main == "one"


def test_a_shared_task_belongs_to_every_app(alone: None) -> None:
    early = testing.app("early")

    @shared_task(name="reusable.job", bind=True)
    def job(self: Any, x: int) -> str:
        return f"{self.app.main} {x}"

    late = testing.app("late")

    assert early.tasks["reusable.job"].delay(1).get() == "early 1"
    assert late.tasks["reusable.job"].delay(2).get() == "late 2"
    assert job.delay(3).get() == "late 3"


def test_modules_are_imported_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: None) -> None:
    for name in ("shop_a", "shop_b", "shop_none"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    text = "from leveret import shared_task\n@shared_task\ndef job(): ...\n"
    (tmp_path / "shop_a" / "tasks.py").write_text(text)
    (tmp_path / "shop_b" / "jobs.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    app = testing.app(include=["shop_b.jobs"])
    app.autodiscover_tasks(["shop_a", "shop_none"])
    assert "shop_a.tasks" not in sys.modules

    app.import_modules()

    assert {"shop_a.tasks.job", "shop_b.jobs.job"} <= set(app.tasks)


def test_an_error_inside_a_discovered_module_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop_broken").mkdir()
    (tmp_path / "shop_broken" / "__init__.py").touch()
    (tmp_path / "shop_broken" / "tasks.py").write_text("import nothing_of_that_name\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        testing.app().autodiscover_tasks(["shop_broken"], force=True)


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_what_the_lifespan_yields_is_there_in_tasks(app: testing.StagedLeveret, kind: str) -> None:
    events: list[str] = []

    if kind == "async":

        @app.lifespan
        async def resources() -> AsyncIterator[str]:
            events.append("open")
            yield "pool"
            events.append("closed")

    else:

        @app.lifespan
        def resources(app: Any) -> Iterator[str]:
            events.append("open")
            yield "pool"
            events.append("closed")

    @app.task
    def use() -> str:
        events.append("run")
        return str(current_task.lifespan)

    assert use.delay().get() == "pool"
    assert events == ["open", "run", "closed"]


def test_current_task_is_the_running_one(app: testing.StagedLeveret) -> None:
    @app.task
    def who() -> list[Any]:
        return [current_task.name, current_task.request.id, bool(current_task)]

    result = who.delay()

    assert result.get() == [who.name, result.id, True]
    assert not current_task


def test_a_change_of_settings_counts_from_the_next_call(app: testing.StagedLeveret) -> None:
    before = app.client
    assert app.client is before

    app.conf.task_default_queue = "elsewhere"

    assert app.client is not before
    assert app.send_task("x").queue == "elsewhere"


def test_moments_are_told_once(app: testing.StagedLeveret) -> None:
    told: list[Any] = []

    @app.on_after_finalize.connect
    def finalized(sender: Any, **kwargs: Any) -> None:
        told.append(sender)

    app.finalize()
    app.finalize()

    assert told == [app]


def test_an_app_closes_and_works_on(app: testing.StagedLeveret) -> None:
    async def main() -> int:
        async with app:
            result = await app.asend_task("x", queue="q")
        return len(result.id)

    assert asyncio.run(main()) == 36
    app.close()
    app.send_task("x", queue="q")


def test_the_queue_lies_in_the_project_never_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    (project / "src" / "shop").mkdir(parents=True)
    (project / "pyproject.toml").touch()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    assert project_folder(project / "src" / "shop" / "tasks.py") == project
    assert project_folder(tmp_path / "elsewhere" / "tasks.py") == tmp_path / "elsewhere"
    assert default_broker_url(project / "tasks.py") == f"sqlite:///{project}/.leveret/queue.db"


def test_an_app_alone_uses_the_project_of_its_own_file(tmp_path: Path) -> None:
    file = tmp_path / "tasks.py"
    namespace: dict[str, Any] = {"__file__": str(file), "__name__": "tasks"}

    exec("from leveret import Leveret\napp = Leveret('tasks', set_as_current=False)", namespace)

    url = str(namespace["app"].conf.settings.broker_url)
    assert url == f"sqlite:///{tmp_path}/.leveret/queue.db"
    assert not (tmp_path / ".leveret").exists()


def test_a_script_names_its_tasks_as_its_file_is_imported(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    text = (
        "from leveret import Leveret\napp = Leveret('x', broker='memory://')\n"
        "@app.task\ndef add(): ...\nif __name__ == '__main__': print(add.name)\n"
    )
    for path in (tmp_path / "tasks.py", package / "jobs.py"):
        path.write_text(text)

    def printed(*command: str) -> str:
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert printed("tasks.py") == "tasks.add"
    assert printed("-m", "tasks") == "tasks.add"
    assert printed("shop/jobs.py") == "shop.jobs.add"
    assert printed("-m", "shop.jobs") == "shop.jobs.add"


def test_an_app_without_a_file_asks_for_its_broker(tmp_path: Path) -> None:
    program = (
        "from leveret import Leveret\napp = Leveret('shop')\n@app.task\ndef add(): ...\n"
        "print(add.name)\ntry: add.delay()\nexcept Exception as error: print(error)\n"
    )
    for command, given in ((["-c", program], ""), (["-"], program)):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, input=given, capture_output=True, text=True, check=True
        )
        name, error = done.stdout.splitlines()
        assert name == "shop.add"
        assert 'broker="sqlite:////full/path/queue.db"' in error
    assert not list(tmp_path.iterdir())


def test_what_celerys_app_has_and_ours_has_otherwise_says_how(app: testing.StagedLeveret) -> None:
    with pytest.raises(AttributeError, match=r"app\.steps is not here: .*add_worker_part"):
        app.steps  # type: ignore[attr-defined] # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'contrl'"):
        app.contrl  # type: ignore[attr-defined] # noqa: B018


def test_a_shared_task_is_of_the_class_of_each_app_unless_it_names_its_own(alone: None) -> None:
    class Counting(Task):
        limit = 7

        def __init__(self) -> None:
            super().__init__()
            self.made = True

    class Own(Task):
        limit = 1

    @shared_task(name="plain")
    def plain() -> None: ...

    @shared_task(name="own", base=Own)
    def own() -> None: ...

    app = Leveret("counting", task_cls=Counting, set_as_current=False)

    assert app.tasks["plain"].limit == 7 and app.tasks["plain"].made
    assert app.tasks["own"].limit == 1
