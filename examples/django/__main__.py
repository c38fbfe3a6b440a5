"""Makes the database, starts a web server and a worker, orders three books and waits until they are shipped."""

import tempfile
from pathlib import Path

from examples.running import bookshop, run

HERE = Path(__file__).parent
SERVE = ("manage", "runserver", "--noreload")
WORK = ("leveret.cli", "worker", "-A", "bookshop", "-c", "2")

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        environment = {"BOOKSHOP_FOLDER": folder}
        run("manage.py", "migrate", "--verbosity=0", folder=HERE, environment=environment)
        bookshop(HERE, SERVE, WORK, environment, shipped="shipped")
