"""How to test a Flask application that sends tasks: `pytest examples/flask`."""

from pathlib import Path

import pytest
from flask import Flask

from leveret.testing import using

from .bookshop import create_app, ship


@pytest.fixture
def flask(tmp_path: Path) -> Flask:
    return create_app(tmp_path)


def test_an_order_is_shipped(flask: Flask) -> None:
    with using(flask.extensions["leveret"]) as stage:
        order = flask.test_client().post("/orders/?title=Momo").get_json()["id"]
        stage.assert_sent(ship, order)
        stage.run_until_idle()

    assert flask.test_client().get(f"/orders/{order}/").get_json() == {"title": "Momo", "state": "shipped"}


def test_a_task_finds_its_context_when_it_is_run_here_and_now(flask: Flask) -> None:
    assert ship.apply((1,)).get().endswith("shipped order 1")
