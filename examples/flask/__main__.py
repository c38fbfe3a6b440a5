"""Starts a web server and a worker, orders three books and waits until they are shipped."""

import tempfile
from pathlib import Path

from examples.running import bookshop

SERVE = ("flask", "--app", "bookshop:flask_app", "run", "--port")
WORK = ("leveret.cli", "worker", "-A", "bookshop", "-c", "2")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        bookshop(Path(__file__).parent, SERVE, WORK, {"BOOKSHOP_FOLDER": folder}, shipped="shipped")
