"""Flask: tasks run in the application's context, so that `current_app` and its extensions work in them.

from leveret.contrib.flask import leveret_init_app

def create_app() -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(LEVERET={"broker_url": "redis://localhost"})
    leveret_init_app(app)
    return app

docs/how-to/use-flask.md
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from leveret.app import Leveret
from leveret.model.request import Request

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["FlaskContext", "leveret_init_app"]


def leveret_init_app(flask: "Flask", app: Leveret | None = None, **settings: Any) -> Leveret:
    """Make the app of a Flask application, or have `app` be it: `app.extensions["leveret"]`, and the default app, which
    `shared_task` means. Settings come from `config["LEVERET"]` or `config["CELERY"]`, further ones as keywords."""
    made = app or Leveret(flask.import_name)
    for name in ("CELERY", "LEVERET"):
        if flask.config.get(name):
            made.config_from_object(dict(flask.config[name]))
    made.conf.update(settings)
    made.surroundings.around.append(FlaskContext(flask))
    made.set_default()
    flask.extensions["leveret"] = made
    return made


class FlaskContext:
    """The application's context around each run; its teardown functions get the exception that ended it."""

    def __init__(self, flask: "Flask") -> None:
        self._flask = flask

    @contextmanager
    def around(self, request: Request) -> Iterator[None]:
        with self._flask.app_context():
            yield

    @asynccontextmanager
    async def around_async(self, request: Request) -> AsyncIterator[None]:
        with self._flask.app_context():
            yield
