"""Sockets to a server."""

import socket

from leveret.errors import ImproperlyConfigured
from leveret.links.redis.location import Endpoint, Location, Unix

KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
"""Seconds: a router in between must not forget a connection that waits."""


def open_socket(location: Location, endpoint: Endpoint) -> socket.socket:
    if isinstance(endpoint, Unix):
        return _open_unix(location, endpoint)
    tls = None if location.tls is None else location.tls.context()
    raw = socket.create_connection((endpoint.host, endpoint.port), location.connect_seconds)
    try:
        tune(raw)
        return raw if tls is None else tls.wrap_socket(raw, server_hostname=endpoint.host)
    except BaseException:
        raw.close()
        raise


def _open_unix(location: Location, endpoint: Unix) -> socket.socket:
    if not hasattr(socket, "AF_UNIX"):
        raise ImproperlyConfigured(f"{location.shown}: this system has no such sockets; use redis://")
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        raw.settimeout(location.connect_seconds)
        raw.connect(endpoint.path)
    except BaseException:
        raw.close()
        raise
    return raw


def tune(raw: socket.socket) -> None:
    """Send small writes at once, and notice a peer that is gone."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):
            raw.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
