"""Starts a web server and a worker, orders three books and waits until they are shipped."""

import tempfile
from pathlib import Path

from examples.running import bookshop

SERVE = ("uvicorn", "bookshop:api", "--port")
WORK = ("leveret.cli", "worker", "-A", "bookshop", "-c", "10")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        environment = {"LEVERET_BROKER_URL": f"sqlite:///{folder}/queue.db"}
        bookshop(Path(__file__).parent, SERVE, WORK, environment, shipped="SUCCESS")
