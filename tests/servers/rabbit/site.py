"""What the nodes of one RabbitMQ cluster share: a folder, a trimmed installation, a cookie, a name server."""

import shutil
import subprocess
import time
from pathlib import Path

from tests.servers import availability
from tests.servers.host.certificates import Certificates, issue
from tests.servers.host.ports import HOST, Port, claim_port, listens
from tests.servers.host.premises import Premises, tail
from tests.servers.rabbit.installation import trim

COOKIE = "leverets"


class Site:
    """Opened once; the name server (epmd) can be killed and started again on its port."""

    def __init__(self, plugins: tuple[str, ...] = (), *, tls: bool = False) -> None:
        self.premises = Premises("rabbit")
        self._ports: list[Port] = []
        self._names: subprocess.Popen[bytes] | None = None
        try:
            trim(availability.rabbitmq_home(), self.folder / "view", plugins)
            self._write_cookie()
            self.certificates: Certificates | None = issue(self.folder / "certificates") if tls else None
            self.names_port = self.claim()
        except BaseException:
            self.close()
            raise

    @property
    def folder(self) -> Path:
        return self.premises.folder

    def claim(self) -> int:
        """Claim a port for as long as the site is open."""
        self._ports.append(claim_port())
        return self._ports[-1].number

    def start_names(self) -> None:
        """Start the name server, unless it runs."""
        if self._names and self._names.poll() is None:
            return
        log = self.folder / "epmd.log"
        command = shutil.which("epmd") or next(map(str, Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), "epmd")
        self._names = self.premises.run([command, "-port", str(self.names_port), "-address", HOST], log=log)
        deadline = time.monotonic() + 10
        while not listens(self.names_port):
            if self._names.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"epmd does not listen on port {self.names_port}:\n{tail(log)}")
            time.sleep(0.002)

    def kill_names(self) -> None:
        if self._names:
            self.premises.evict(self._names)

    def close(self) -> None:
        self.premises.clear()
        self._release()

    def leave(self) -> None:
        """Let go of what others use too; the ports' numbers are held by the server itself."""
        self.premises.leave()
        self._release()

    def _release(self) -> None:
        for port in self._ports:
            port.release()

    def _write_cookie(self) -> None:
        (self.folder / "home").mkdir()
        cookie = self.folder / "home/.erlang.cookie"
        cookie.write_text(COOKIE)
        # Erlang refuses a cookie that others may read.
        cookie.chmod(0o400)
