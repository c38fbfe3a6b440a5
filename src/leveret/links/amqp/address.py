"""Where brokers are: URLs with users, virtual hosts and TLS, several for failover (kombu's and RabbitMQ's words).

`amqp://user:password@host:5672/vhost`, `amqps://` with TLS; several are parted by `;`. Query parameters are those of
RabbitMQ's URI specification (`heartbeat`, `cacertfile`, `certfile`, `keyfile`, `verify`, `server_name_indication`,
`connection_timeout` in milliseconds, `auth_mechanism`).
"""

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from leveret.errors import ImproperlyConfigured
from leveret.links.amqp.protocol.handshake import Credentials
from leveret.model.endpoint import Url
from leveret.model.options import DriverOptions

if TYPE_CHECKING:
    import ssl

SCHEMES = {"amqp": 5672, "pyamqp": 5672, "amqps": 5671}
_PARAMETERS = (
    "heartbeat", "cacertfile", "certfile", "keyfile", "verify", "server_name_indication", "connection_timeout",
    "auth_mechanism", "ssl",
)  # fmt: skip
_KNOWN = frozenset(
    ("keyfile", "certfile", "ca_certs", "cert_reqs", "check_hostname", "server_hostname", "ciphers",
     "ssl_version", "server_side", "do_handshake_on_connect", "suppress_ragged_eofs")
)  # fmt: skip
"""Of `broker_use_ssl`; those of the second line are taken and change nothing: TLS 1.2 or newer, as a client."""
CONNECT_SECONDS = 4.0


class Tls(Struct, frozen=True, kw_only=True):
    """File names and checks; verification is on unless it is turned off by name."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    verify: bool = True
    check_hostname: bool = True
    server_name: str | None = None
    ciphers: str | None = None

    def context(self) -> "ssl.SSLContext":
        import ssl  # costs 20 ms, and most connections are plain

        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.verify and self.check_hostname
        if not self.verify:
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        return context


class Address(Struct, frozen=True, kw_only=True):
    """One broker."""

    host: str
    port: int
    credentials: Credentials
    tls: Tls | None = None
    connect_seconds: float = CONNECT_SECONDS

    @property
    def shown(self) -> str:
        """For banners and errors: no password."""
        scheme = "amqps" if self.tls else "amqp"
        vhost = self.credentials.virtual_host
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{self.credentials.user}@{host}:{self.port}/{'' if vhost == '/' else vhost}"


def addresses(url: Url, options: DriverOptions, name: str = "leveret") -> tuple[Address, ...]:
    """Every broker a URL names, in its order. Raises `ImproperlyConfigured` with the part that is wrong."""
    parts = [part for part in str(url).split(";") if part]
    if not parts:
        raise ImproperlyConfigured("broker_url is empty: expected something like amqp://guest:guest@localhost:5672//")
    return tuple(_address(Url(part.strip()), options, name) for part in parts)


def _address(url: Url, options: DriverOptions, name: str) -> Address:
    try:
        split = urlsplit(str(url))
        port = split.port
    except ValueError:
        # Not shown: what stands where a port should be is often the rest of a password.
        raise ImproperlyConfigured(
            "broker_url: host or port cannot be read: a port is a number up to 65535, and of a password the characters "
            "; / ? # @ are written %3B %2F %3F %23 %40"
        ) from None
    if split.scheme not in SCHEMES:
        raise ImproperlyConfigured(f"broker_url {url.masked!r}: the scheme is none of {', '.join(SCHEMES)}")
    query = dict(parse_qsl(split.query, keep_blank_values=True))
    unknown = sorted(query.keys() - set(_PARAMETERS))
    if unknown:
        raise ImproperlyConfigured(f"broker_url: unknown parameter {unknown[0]!r}; known are {', '.join(_PARAMETERS)}")
    tls = _tls(split.scheme, query, options.tls)
    return Address(
        host=unquote(split.hostname) if split.hostname else "localhost",
        port=port or (SCHEMES["amqps"] if tls else SCHEMES[split.scheme]),
        credentials=Credentials(
            user=unquote(split.username) if split.username else "guest",
            password=unquote(split.password) if split.password is not None else "guest",
            mechanism=_mechanism(query.get("auth_mechanism") or options.login_method or "PLAIN"),
            virtual_host=_virtual_host(split.path),
            heartbeat=int(_number(query, "heartbeat", options.heartbeat_seconds, 65_535)),
            name=name,
        ),
        tls=tls,
        connect_seconds=_number(query, "connection_timeout", CONNECT_SECONDS * 1000, 3_600_000) / 1000,
    )


def _virtual_host(path: str) -> str:
    """`/` for none, `/` and `//`, as kombu reads them; else what follows the first slash."""
    found = unquote(path[1:]) or "/"
    if len(found) > 127:
        raise ImproperlyConfigured(
            f"broker_url: virtual host {found[:30]!r}... has {len(found)} characters, at most 127"
        )
    return found


def _mechanism(name: str) -> str:
    found = name.upper()
    if found not in ("PLAIN", "AMQPLAIN", "EXTERNAL"):
        raise ImproperlyConfigured(f"broker_url: auth_mechanism {name!r} must be plain or external")
    # The same secret in an older dress, which RabbitMQ offers beside PLAIN.
    return "PLAIN" if found == "AMQPLAIN" else found


def _number(query: Mapping[str, str], name: str, default: float, most: float) -> float:
    text = query.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= most:
        raise ImproperlyConfigured(f"broker_url: {name}={text or value!r} must be a number from 0 to {most:g}")
    return value


def _tls(scheme: str, query: Mapping[str, str], settings: Any) -> Tls | None:
    """TLS by the scheme, by `broker_use_ssl` (True, or a dict with the names of `ssl.wrap_socket`), or by the query."""
    if scheme != "amqps" and not settings and query.get("ssl", "").lower() not in ("1", "true"):
        return None
    named: Mapping[str, Any] = settings if isinstance(settings, Mapping) else {}
    unknown = sorted(set(named) - _KNOWN)
    if unknown:
        raise ImproperlyConfigured(
            f"broker_use_ssl: unknown option {unknown[0]!r}; known are {', '.join(sorted(_KNOWN))}"
        )
    verify = query.get("verify", "verify_none" if _is_off(named.get("cert_reqs", "")) else "verify_peer")
    if verify not in ("verify_none", "verify_peer"):
        raise ImproperlyConfigured(f"broker_url: verify={verify!r} must be verify_peer or verify_none")
    return Tls(
        ca=query.get("cacertfile") or named.get("ca_certs"),
        certificate=query.get("certfile") or named.get("certfile"),
        key=query.get("keyfile") or named.get("keyfile"),
        verify=verify == "verify_peer",
        check_hostname=named.get("check_hostname") is not False,
        server_name=query.get("server_name_indication") or named.get("server_hostname"),
        ciphers=named.get("ciphers"),
    )


def _is_off(required: Any) -> bool:
    """`ssl.CERT_NONE` is 0; kombu's users write the constant, its name or a string."""
    return required == 0 or str(required).upper().rsplit(".", 1)[-1] in ("CERT_NONE", "NONE", "0")


def tune_socket(sock: socket.socket) -> None:
    """Small frames go at once, and a peer that is gone is noticed by the kernel too."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Failover:
    """Which broker to try next. `shuffle` is a permutation made by chance, for fleets that must spread."""

    def __init__(self, brokers: Sequence[Address], strategy: str, jitter: float) -> None:
        self.brokers = list(brokers)
        if strategy == "shuffle":
            # Deterministic in its one number: chance comes in, it is not taken (STYLE 7).
            for place in range(len(self.brokers) - 1, 0, -1):
                jitter = (jitter * 9301.7 + 0.49297) % 1.0
                other = int(jitter * (place + 1))
                self.brokers[place], self.brokers[other] = self.brokers[other], self.brokers[place]
        self._at = 0

    @property
    def present(self) -> Address:
        return self.brokers[self._at % len(self.brokers)]

    def next(self) -> None:
        """The present one did not answer."""
        self._at += 1

    @property
    def shown(self) -> str:
        return ";".join(broker.shown for broker in self.brokers)
