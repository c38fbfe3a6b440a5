"""What can go wrong on a connection, by whose fault."""

from leveret.errors import BrokerError, OperationalError


class ProtocolError(BrokerError):
    """The peer sent bytes that are no AMQP 0-9-1; nothing after them can be trusted."""


class ConnectionLost(OperationalError):
    """The connection is gone; `code` is the broker's reason (AMQP reply code) where it gave one."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class ChannelClosed(BrokerError):
    """The broker closed one channel: 404 not found, 405 locked, 406 precondition failed, 403 refused."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text = code, text

    @property
    def home_is_down(self) -> bool:
        """A classic queue of a cluster is there, and its node is not."""
        return self.code == 404 and "down or inaccessible" in self.text
