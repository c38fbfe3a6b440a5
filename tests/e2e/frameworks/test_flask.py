"""Flask's context around tasks: with our extension, and with the recipe that Flask's documentation has for Celery."""

import asyncio
from importlib.util import find_spec
from typing import Any

import pytest

from leveret import Leveret, Task, shared_task, testing
from leveret.client import current

pytestmark = pytest.mark.skipif(find_spec("flask") is None, reason="Flask is not installed")


@pytest.fixture(autouse=True)
def defaults() -> Any:
    app, shared = current.peek(), current.shared()
    yield
    current.set_default(app)
    current.restore(shared)


def test_the_recipe_of_flasks_documentation_works_as_it_is_written() -> None:
    from flask import Flask, current_app  # noqa: PLC0415

    def celery_init_app(app: Any) -> Any:
        class FlaskTask(Task):
            def __call__(self, *args: object, **kwargs: object) -> object:
                with app.app_context():
                    return self.run(*args, **kwargs)

        celery_app = Leveret(app.name, task_cls=FlaskTask)
        celery_app.config_from_object(app.config["CELERY"])
        celery_app.set_default()
        app.extensions["celery"] = celery_app
        return celery_app

    flask = Flask("shop")
    flask.config.from_mapping(CELERY={"broker_url": "memory://recipe", "task_ignore_result": True})
    app = celery_init_app(flask)

    @shared_task(ignore_result=False)
    def where() -> str:
        return current_app.name

    with testing.using(app):
        assert where.delay().get() == "shop"


def test_a_run_has_the_context_and_its_end_tells_the_teardown_what_happened() -> None:
    from flask import Flask, current_app, g  # noqa: PLC0415

    from leveret.contrib.flask import leveret_init_app  # noqa: PLC0415

    flask = Flask("shop")
    flask.config["LEVERET"] = {"broker_url": "memory://flask"}
    app = leveret_init_app(flask, task_time_limit=9)
    ends: list[Any] = []
    flask.teardown_appcontext(ends.append)

    @shared_task
    def where() -> str:
        assert "seen" not in g, "every run has a context of its own"
        g.seen = True
        return current_app.name

    @shared_task
    async def soon() -> str:
        await asyncio.sleep(0)
        return current_app.name

    @shared_task
    def broken() -> None:
        raise ValueError("x")

    with testing.using(app):
        assert [where.delay().get(), where.delay().get(), soon.delay().get()] == ["shop", "shop", "shop"]
        assert broken.delay().get(propagate=False).args == ("x",)

    assert [str(end) for end in ends] == ["None", "None", "None", "x"]
    assert app.conf.task_time_limit == 9 and flask.extensions["leveret"] is app


def test_an_app_that_exists_already_is_adapted() -> None:
    from flask import Flask  # noqa: PLC0415

    from leveret.contrib.flask import leveret_init_app  # noqa: PLC0415

    flask, mine = Flask("shop"), Leveret("mine", set_as_current=False)
    flask.config["CELERY"] = {"task_default_queue": "orders"}

    assert leveret_init_app(flask, mine) is mine
    assert mine.conf.task_default_queue == "orders"
