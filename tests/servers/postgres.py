"""A real PostgreSQL of one's own, restarted at will on the same port with the same data."""

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.servers import availability
from tests.servers.host.ports import HOST, claim_port
from tests.servers.host.premises import Premises, tail

START_SECONDS = 20.0
USER = "tester"
NOBODY = 65534


class PostgresServer:
    """One server, from `start` to `stop`; nothing it writes is worth a sync to disk."""

    def __init__(self) -> None:
        self._home = availability.postgres_home()
        self._premises = Premises("postgres")
        self._port = claim_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.data = self._premises.folder / "data"
        self._make()

    @property
    def environment(self) -> dict[str, str]:
        """libpq's variables for a client."""
        return {"PGHOST": HOST, "PGPORT": str(self._port.number), "PGUSER": USER, "PGDATABASE": "postgres"}

    def start(self) -> Self:
        options = ("-p", str(self._port.number), "-h", HOST, "-k", str(self.data), "-c", "fsync=off")
        command = [*_as_nobody(), self._home / "postgres", "-D", self.data, *options]
        self._process = self._premises.run(command, log=self._log)
        self._until_ready()
        return self

    def restart(self) -> None:
        """As an upgrade does it: every connection is ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_SECONDS)
        self.start()

    def stop(self) -> None:
        self._premises.clear()
        self._port.release()

    @property
    def _log(self) -> Path:
        return self._premises.folder / "server.log"

    def _make(self) -> None:
        self.data.mkdir()
        if _as_nobody():
            # PostgreSQL runs as anybody but root.
            self._premises.folder.chmod(0o711)
            os.chown(self.data, NOBODY, NOBODY)
        command = [*_as_nobody(), self._home / "initdb", "-D", self.data, "-A", "trust", "-U", USER, "-N", "-E", "UTF8"]
        done = self._premises.run(command, log=self._log)
        if done.wait(60):
            raise RuntimeError(f"initdb failed:\n{tail(self._log)}")

    def _until_ready(self) -> None:
        command = [self._home / "pg_isready", "-q", "-h", HOST, "-p", str(self._port.number)]
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(command, check=False).returncode:
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{tail(self._log)}")
            time.sleep(0.02)


def _as_nobody() -> tuple[str, ...]:
    return ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if os.geteuid() == 0 else ()
