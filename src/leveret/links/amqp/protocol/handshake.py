"""Who we say we are, and what both sides agree on, before channels may be used (AMQP 0-9-1 section 2.2.4)."""

import struct
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from pamqp import commands

from leveret.links.amqp.protocol.errors import ProtocolError
from leveret.links.amqp.protocol.tables import read_table

LARGEST_FRAME, LEAST_FRAME = 131_072, 4096

CLIENT_CAPABILITIES = {
    "publisher_confirms": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}

_U32 = struct.Struct(">I")

NEXT: Mapping[type, type | None] = {
    commands.Connection.Start: commands.Connection.Tune,
    commands.Connection.Tune: commands.Connection.OpenOk,
    commands.Connection.OpenOk: None,
}
"""What the broker says, in its order; anything else is out of turn."""


class Credentials(Struct, frozen=True, kw_only=True):
    """What the handshake needs. `mechanism` EXTERNAL takes the user from the client's certificate."""

    user: str = "guest"
    password: str = "guest"
    mechanism: str = "PLAIN"
    virtual_host: str = "/"
    heartbeat: int = 12
    """Seconds; 0 asks for none. The broker's own is taken where it is shorter."""
    name: str = "leveret"
    """What the broker's management pages show."""

    def response(self) -> str:
        return "" if self.mechanism == "EXTERNAL" else f"\0{self.user}\0{self.password}"


class Handshake:
    """`hear` each step of the broker's; it answers what to say."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._expected: type | None = commands.Connection.Start
        self.opened = False
        self.frame_max = LARGEST_FRAME
        self.heartbeat = 0
        self.server: Mapping[str, Any] = {}
        """The broker's own words about itself (`version`, `capabilities`)."""

    def hear(self, step: Any) -> tuple[Any, ...]:
        """Raises `ProtocolError` for what is out of turn."""
        if type(step) is not self._expected:
            raise ProtocolError("a second handshake" if self.opened else f"{step.name} out of turn")
        self._expected = NEXT[type(step)]
        match step:
            case commands.Connection.Start():
                return self._start(step)
            case commands.Connection.Tune():
                return self._tune(step)
        self.opened = True
        return ()

    def _start(self, start: commands.Connection.Start) -> tuple[Any, ...]:
        self.server = dict(start.server_properties or {})
        mechanisms = str(start.mechanisms).split()
        mechanism = self._credentials.mechanism
        if mechanism not in mechanisms:
            raise ProtocolError(f"the broker offers no {mechanism} login (offered: {', '.join(mechanisms)})")
        properties: dict[str, Any] = {
            "product": "leveret",
            "connection_name": self._credentials.name,
            "capabilities": CLIENT_CAPABILITIES,
        }
        response = self._credentials.response()
        return (commands.Connection.StartOk(client_properties=properties, mechanism=mechanism, response=response),)

    def _tune(self, tune: commands.Connection.Tune) -> tuple[Any, ...]:
        offered, wanted = tune.heartbeat or 0, self._credentials.heartbeat
        self.heartbeat = min(offered, wanted) if offered and wanted else wanted
        self.frame_max = min(tune.frame_max or LARGEST_FRAME, LARGEST_FRAME)
        if self.frame_max < LEAST_FRAME:
            raise ProtocolError(
                f"the broker wants frames of at most {self.frame_max} bytes; AMQP's least is {LEAST_FRAME}"
            )
        return (
            commands.Connection.TuneOk(tune.channel_max or 2047, self.frame_max, self.heartbeat),
            commands.Connection.Open(self._credentials.virtual_host),
        )


def read_start(data: bytes) -> commands.Connection.Start:
    """connection.start, the one method of a broker's that holds a table: pamqp would read any number of levels."""
    properties, at = read_table(data, 6)
    (size,) = _U32.unpack_from(data, at)
    mechanisms = data[at + 4 : at + 4 + size]
    return commands.Connection.Start(data[4], data[5], properties, mechanisms.decode("ascii", "replace"))
