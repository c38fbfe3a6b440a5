"""A bookshop on Flask: a task uses the application's configuration and database as a view does."""

import os
import sqlite3
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, current_app, g, jsonify, request

from leveret import shared_task
from leveret.contrib.flask import leveret_init_app


def create_app(folder: str | Path) -> Flask:
    flask = Flask(__name__)
    flask.config.from_mapping(
        DATABASE=Path(folder) / "orders.db",
        LEVERET={"broker_url": f"sqlite:///{Path(folder) / 'queue.db'}", "task_time_limit": 60},
    )
    leveret_init_app(flask)
    flask.teardown_appcontext(close_database)
    flask.add_url_rule("/orders/", view_func=place, methods=["POST"])
    flask.add_url_rule("/orders/<int:order_id>/", view_func=show)
    with flask.app_context():
        database().execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, title TEXT, state TEXT)")
    return flask


@shared_task
def ship(order_id: int) -> str:
    """Ship an order. The context it needs is there; what it opens is closed when the run ends."""
    database().execute("UPDATE orders SET state = 'shipped' WHERE id = ? AND state = 'placed'", (order_id,))
    return f"{current_app.name} shipped order {order_id}"


def place() -> Response:
    order = database().execute("INSERT INTO orders (title, state) VALUES (?, 'placed')", (request.args["title"],))
    # The row is committed by now: `database()` commits each statement.
    ship.delay(order.lastrowid or 0)
    return jsonify(id=order.lastrowid)


def show(order_id: int) -> Response:
    row = database().execute("SELECT title, state FROM orders WHERE id = ?", (order_id,)).fetchone()
    if row is None:
        abort(404)
    return jsonify(title=row[0], state=row[1])


def database() -> sqlite3.Connection:
    """The connection of this context."""
    if "database" not in g:
        g.database = sqlite3.connect(current_app.config["DATABASE"], isolation_level=None, timeout=10)
    connection: sqlite3.Connection = g.database
    return connection


def close_database(error: BaseException | None) -> Any:
    if (connection := g.pop("database", None)) is not None:
        connection.close()


if "BOOKSHOP_FOLDER" in os.environ:
    # For `flask --app bookshop run` and `leveret worker -A bookshop`.
    flask_app = create_app(os.environ["BOOKSHOP_FOLDER"])
    app = flask_app.extensions["leveret"]
